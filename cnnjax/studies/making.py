"""What is trained for a planned run: from its configuration, or by the study's own function."""

from pathlib import Path
from typing import Any

from cnnjax import data, recipes
from cnnjax.extras import MissingPackage
from cnnjax.recipes.schema import RunConfig
from cnnjax.studies.context import RunContext
from cnnjax.studies.plan import PlannedRun, needed_source
from cnnjax.studies.sources import SourceNotFinished
from cnnjax.training.errors import ConfigError
from cnnjax.training.run import Run


def make_context(run: PlannedRun, **fields: Any) -> RunContext:
    """Returns what a run is made with besides its settings.

    Args:
        run: the run.
        **fields: further fields of `RunContext`, such as `data_dir`.
    """
    return RunContext(run.labels, run.seed, sources=run.sources, **fields)


def make_planned(run: PlannedRun, context: RunContext) -> Run:
    """Returns what is trained for a run.

    Args:
        run: the run.
        context: where it finds its data and the runs that it starts from.

    Raises:
        ConfigError: a part cannot be made, or does not fit another.
        DataError: the images are not prepared, gone, or not what they should be.
        SourceNotFinished: it starts from a run that is not finished.
    """
    if run.make_run is None:
        return _from_configuration(run.config, context)
    try:
        made = run.make_run(run.config, context)
    except (ConfigError, MissingPackage, SourceNotFinished, data.DataError):
        raise
    except Exception as error:
        raise ConfigError(
            f"study.make_run: it fails with {type(error).__name__}: {error}; fix that first"
        ) from error
    if not isinstance(made, Run):
        raise ConfigError(
            f"study.make_run: it returned {type(made).__name__}; return a training.Run"
        )
    return made


def _from_configuration(config: RunConfig, context: RunContext) -> Run:
    options: Any = {"data_dir": context.data_dir, "read": context.read}
    source = needed_source(config, context.sources)
    if source is None:
        return recipes.make_run(config, **options)
    folder: Path = context.source(source)
    model = config.model.model_copy(update={"weights": str(folder)})
    made = recipes.make_run(config.model_copy(update={"model": model}), **options)
    # The study's folder may be moved: its path is no part of what the run is.
    return made.replace(identity=config.model_dump())
