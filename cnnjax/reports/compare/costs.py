"""What the training of each compared run cost: multiply-adds times images."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnnjax import recipes
from cnnjax.analysis import multiply_adds
from cnnjax.reports.compare.runs import SEED, ComparedRun
from cnnjax.studies.cost import Cost

_NOT_OF_THE_NETWORK = frozenset({SEED, "optimizer", "schedule", "epochs", "ema_decay"})
"""Sections of a configuration that do not change what an image costs."""


def with_costs(
    runs: Sequence[ComparedRun], data_dir: str | None = None
) -> tuple[list[ComparedRun], list[str]]:
    """Returns the runs with the cost of their training so far, and notes on what is not known.

    The multiply-adds of a study's runs are those of its description; of other runs, the network is
    made again from the configuration, once for each network.

    Args:
        runs: the runs.
        data_dir: TFDS data folder; None means TFDS's default.
    """
    counted: dict[str, int | str] = {}
    made, notes = [], []
    for run in runs:
        batch = run.record.run.get("batch_size")
        network = {k: v for k, v in run.record.config.items() if k not in _NOT_OF_THE_NETWORK}
        key = json.dumps(network, sort_keys=True)
        if run.cost is not None:
            counted[key] = run.cost.multiply_adds
        elif key not in counted:
            counted[key] = _count(run.record.config, data_dir)
        found = counted[key]
        if isinstance(found, str) or batch is None:
            why = found if isinstance(found, str) else "its run.json has no batch size"
            notes.append(f"The cost of {run.name} is not known: {why}.")
            made.append(replace(run, cost=None))
        else:
            # What was trained so far, which a study's plan does not know.
            made.append(replace(run, cost=Cost(found, run.last_step * batch)))
    return made, notes


def _count(config: Mapping[str, Any], data_dir: str | None) -> int | str:
    """Returns the multiply-adds of one image forward, or why they are not known."""
    if not isinstance(config.get("model"), dict) or "name" not in config["model"]:
        return "it was made in Python, and its folder does not record how"
    try:
        blueprint = recipes.make_blueprint(config, data_dir)
        return multiply_adds(blueprint.model, blueprint.image_shape)
    # Parts that are the user's own may raise anything, and only this figure is lost.
    except Exception as error:
        return str(error).rstrip(".")
