"""A pruned network as files that a new run starts from: weights and a configuration."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnjax import inference, models, nn, training, writing
from cnnjax.compression.choose_channels import By, Ratio
from cnnjax.compression.decomposition import DecomposedNetwork, Rank, decompose
from cnnjax.compression.filters import PrunedNetwork, prune_filters
from cnnjax.training.folder.check import check_writable

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
CONFIG_FILE = "config.py"

_PROGRAM = '''"""A network that was made smaller, to be trained further.

cnnjax train --config={file} --workdir=FOLDER
"""

import json
from pathlib import Path

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration of the run, with the smaller network and its weights."""
    config = recipes.default_config()
    folder = Path(__file__).parent
    with config.unlocked():
        config.update(ConfigDict(json.loads((folder / "{config}").read_text())))
    config.model.weights = str(folder / "{weights}")
    return config
'''


@dataclass(frozen=True, eq=False)
class Smaller:
    """A trained network that was made smaller, without further training.

    Attributes:
        network: the smaller network, with the examples of the first one.
        changes: what was changed, in order.
    """

    network: inference.Network
    changes: tuple[PrunedNetwork | DecomposedNetwork, ...]

    def __str__(self) -> str:
        return "\n".join(str(change) for change in self.changes)


def make_smaller(
    network: inference.Network,
    *,
    ratio: Ratio | None = None,
    multiply_adds: float | None = None,
    keep: Sequence[str] = (),
    multiple: int = 1,
    by: By = "l1",
    seed: int = 0,
    rank: Rank | None = None,
    error: float | None = None,
) -> Smaller:
    """Prunes the filters of a trained network, then replaces its convolutions; each where given.

    Args:
        network: such as `inference.load` returns.
        ratio: see `prune_filters`.
        multiply_adds: see `prune_filters`.
        keep: see `prune_filters`.
        multiple: see `prune_filters`.
        by: see `prune_filters`.
        seed: see `prune_filters`.
        rank: see `decompose`.
        error: see `decompose`.

    Raises:
        ConfigError: nothing is to be done, or a value or the network does not allow it.
    """
    given = {"ratio": ratio, "multiply_adds": multiply_adds, "rank": rank, "error": error}
    if all(value is None for value in given.values()):
        raise training.ConfigError(f"give one of {', '.join(given)}: how much smaller it is to be")
    changes: list[PrunedNetwork | DecomposedNetwork] = []
    model, variables, shape = network.model, network.variables, network.image_shape
    try:
        if ratio is not None or multiply_adds is not None:
            pruned = prune_filters(
                model,
                variables,
                shape,
                ratio,
                multiply_adds=multiply_adds,
                by=by,
                keep=keep,
                multiple=multiple,
                seed=seed,
            )
            changes.append(pruned)
            model, variables = pruned.model, pruned.variables
        if rank is not None or error is not None:
            decomposed = decompose(model, variables, shape, rank, error=error)
            changes.append(decomposed)
            model, variables = decomposed.model, decomposed.variables
    except (ValueError, TypeError) as problem:
        raise training.ConfigError(str(problem)) from problem
    smaller = dataclasses.replace(
        network, model=model, variables=variables, origin=f"{network.origin}, made smaller"
    )
    return Smaller(smaller, tuple(changes))


def check_output(output: str | Path) -> Path:
    """Returns a folder that the files can be written into.

    Args:
        output: a path at which nothing is yet, or an empty folder.

    Raises:
        ConfigError: it is no empty folder, or cannot be written.
    """
    folder = Path(output)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise training.ConfigError(
            f"output: {folder} is {'a file' if folder.is_file() else 'not empty'}; give a "
            "new folder"
        )
    try:
        check_writable(folder)
    except training.RunFolderError as error:
        reason = str(error).removeprefix("workdir: ").partition("; ")[0]
        raise training.ConfigError(f"output: {reason}; give another folder") from None
    return folder


def write_smaller(smaller: Smaller, output: str | Path) -> Path:
    """Writes the weights, and a configuration with which a new run starts from them.

    Args:
        smaller: of a run from a configuration.
        output: a new folder.

    Returns:
        The configuration file: `cnnjax train --config=FILE` trains the network further.

    Raises:
        ConfigError: the folder is not empty, or the network is of no configuration.
    """
    folder = check_output(output)
    config = smaller.network.config
    if smaller.network.workdir is None or "model" not in config:
        raise training.ConfigError(
            f"{smaller.network.origin}: only a network of a run from a configuration can be "
            "written as one; write its weights with models.save_pretrained"
        )
    folder.mkdir(parents=True, exist_ok=True)
    models.save_pretrained(smaller.network.variables, folder / WEIGHTS)
    values = _configuration(config, smaller.network.model)
    writing.write_json(folder / CONFIG, values)
    program = _PROGRAM.format(file=folder / CONFIG_FILE, config=CONFIG, weights=WEIGHTS)
    writing.write_text(folder / CONFIG_FILE, program)
    return folder / CONFIG_FILE


def _configuration(config: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Returns the run's configuration with the changed layers."""
    section = dict(config["model"])
    section["overrides"] = {**section["overrides"], "layer_changes": nn.layer_changes(model)}
    # The file of weights lies beside the configuration, which sets its path.
    section.update(weights="", part="", fresh=[])
    return {**config, "model": section}
