"""The variables of a finished run, read from its folder; nothing in the folder is changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnjax import parts
from cnnjax.recipes.blueprint import make_blueprint
from cnnjax.recipes.without_examples import state_like
from cnnjax.training.errors import CheckpointError, ConfigError, RunFolderError
from cnnjax.training.folder import names
from cnnjax.training.folder.run_folder import find_owner, read_identity
from cnnjax.training.folder.saved import SavedCheckpoints


def read_variables(workdir: Path, data_dir: str | None = None) -> tuple[int, Mapping[str, Any]]:
    """Returns the step and the variables of a run's newest checkpoint, as they are evaluated.

    Args:
        workdir: the run's folder.
        data_dir: TFDS data folder, where the run's dataset is described; None means TFDS's default.

    Raises:
        ConfigError: the folder holds no run from a configuration, or none of its checkpoints can be
            read.
    """
    try:
        identity = read_identity(workdir)
        if identity.made_by != "configuration":
            raise ConfigError(
                f"the run in {workdir} was made in Python; write its weights with "
                "models.save_pretrained(result.variables, FILE), and give the file"
            )
        parts.restore(identity.parts)
        like = state_like(make_blueprint(identity.values, data_dir))
        checkpoints = SavedCheckpoints(
            workdir / names.CHECKPOINTS_FOLDER, find_owner(workdir, identity)
        )
        found = checkpoints.restore_newest(like)
    except ConfigError:
        raise
    except (RunFolderError, CheckpointError, ValueError) as error:
        raise ConfigError(f"{workdir} gives no weights: {error}") from error
    if found is None:
        raise ConfigError(f"{workdir} has no checkpoint yet; train it further")
    step, state = found
    return step, state.eval_variables
