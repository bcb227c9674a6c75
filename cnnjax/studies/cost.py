"""The cost of a study before it runs, and whether its runs can work at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cnnjax import data, recipes
from cnnjax.analysis import multiply_adds
from cnnjax.data.prepare.embedded import require_prepared
from cnnjax.recipes.without_examples import epoch_steps
from cnnjax.studies.making import make_context, make_planned
from cnnjax.studies.plan import PlannedRun, needed_source
from cnnjax.training.check import check_run
from cnnjax.training.errors import ConfigError
from cnnjax.training.run import Run


@dataclass(frozen=True)
class Cost:
    """The cost of training a run.

    Attributes:
        multiply_adds: of one image, forward.
        images: trained on in all epochs.
        sources: the names of the runs that it starts from, of sources of its seed.
    """

    multiply_adds: int
    images: int
    sources: Sequence[str] = ()

    @property
    def total(self) -> int:
        """Multiply-adds times images. A training step costs about three times the forward pass."""
        return self.multiply_adds * self.images


def check_runs(runs: Sequence[PlannedRun], data_dir: str | None = None) -> dict[str, Cost]:
    """Refuses runs that cannot work, before any of them starts, and counts what each costs.

    Runs that differ in their seed alone are checked once.

    Args:
        runs: the runs.
        data_dir: TFDS data folder; None means TFDS's default.

    Returns:
        The cost of each run, by its name.

    Raises:
        ConfigError: a part of a run is unknown or does not fit another; the message names the run.
        DataError: a dataset is not prepared.
    """
    costs: dict[str, Cost] = {}
    by_setting: dict[str, Cost] = {}
    for run in runs:
        if run.setting not in by_setting:
            by_setting[run.setting] = _check(run, data_dir)
        cost = by_setting[run.setting]
        # Of each seed there are sources of its own.
        costs[run.name] = replace(cost, sources=tuple(run.sources[n] for n in cost.sources))
    return costs


def _check(run: PlannedRun, data_dir: str | None) -> Cost:
    """Returns a run's cost, with the sources' names in place of those of their runs."""
    try:
        if run.make_run is not None:
            return _check_made(run, data_dir)
        return _check_configuration(run, data_dir)
    except data.DataError:  # a ValueError whose cause is not the study
        raise
    except ValueError as error:
        raise ConfigError(f"study: the run {run.name}: {error}") from error


def _check_made(run: PlannedRun, data_dir: str | None) -> Cost:
    context = make_context(run, data_dir=data_dir)
    made = make_planned(run, context)
    variables = check_run(made).variables
    counted = multiply_adds(made.model, made.image_shape, variables=variables)
    return Cost(counted, _images(made), tuple(context.asked))


def _images(run: Run) -> int:
    """Returns how many images a run trains on, of all streams; each view of one counts."""
    sizes = [
        order.batch_size * len(run.streams[name].policies) for name, order in run.orders.items()
    ]
    return sum(sizes) * run.total_steps


def _check_configuration(run: PlannedRun, data_dir: str | None) -> Cost:
    blueprint = recipes.make_blueprint(run.config, data_dir)
    checked = recipes.check_blueprint(blueprint, data_dir)
    if blueprint.own is None and blueprint.dataset.folder is None:
        require_prepared(blueprint.dataset, data_dir)
    variables = None if checked.shapes is None else checked.shapes.variables
    counted = multiply_adds(blueprint.model, blueprint.image_shape, variables=variables)
    images = epoch_steps(blueprint) * checked.first_batch_size * run.config.epochs
    source = needed_source(run.config, run.sources)
    return Cost(counted, images, () if source is None else (source,))


def format_cost(runs: Sequence[PlannedRun], costs: Mapping[str, Cost]) -> str:
    """Returns a line for each run with its cost, and the total.

    Args:
        runs: the runs.
        costs: their costs by name.
    """
    width = max(map(len, costs))
    lines = [f"{'run':<{width}}  {'multiply-adds':>15}  {'images':>11}  {'product':>9}"]
    for run in runs:
        cost = costs[run.name]
        counts = f"{cost.multiply_adds:>15,}  {cost.images:>11,}  {cost.total:>9.2e}"
        lines.append(f"{run.name:<{width}}  {counts}")
    images = sum(costs[run.name].images for run in runs)
    total = sum(costs[run.name].total for run in runs)
    name = f"{len(runs)} runs"
    lines.append(f"{name:<{width}}  {'':>15}  {images:>11,}  {total:>9.2e}")
    lines.append("Multiply-adds are those of one image forward; training takes about three times.")
    return "\n".join(lines)
