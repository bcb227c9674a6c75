"""What a run folder records: the configuration, the circumstances and the metrics of a run."""

import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnjax.training import RunFolderError, read_events, read_metrics
from cnnjax.training.folder.names import CONFIG_FILE, METRICS_FILE, RUN_FILE
from cnnjax.training.folder.run_folder import read_identity

# Logged numbers that are no metrics of the task.
_OF_THE_RUN = frozenset(
    {"step", "epoch", "split", "learning_rate", "images_per_second", "waiting_share"}
)


@dataclass(frozen=True)
class RunRecord:
    """The files of a run folder.

    Attributes:
        workdir: the folder.
        config: the configuration as it was given.
        run: how the run was made: model, dataset, command, commit, versions, devices, start.
        train: metrics on training batches, by step.
        evaluated: metrics on the whole evaluated split, by step.
        split: the evaluated split: "test", or "validation" if examples were held out.
        events: what happened to the run, in order: starts, stops, checkpoints.
    """

    workdir: pathlib.Path
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    train: Sequence[Mapping[str, Any]]
    evaluated: Sequence[Mapping[str, Any]]
    split: str
    events: Sequence[Mapping[str, Any]] = ()

    @property
    def training_seconds(self) -> float | None:
        """Seconds in training steps, without evaluation and compilation; None if not known."""
        batch = self.run.get("batch_size")
        if batch is None or not all(line.get("images_per_second") for line in self.train):
            return None
        # Each line logs the speed since the line before, and the first one since step 0.
        steps = [0, *(line["step"] for line in self.train)]
        return sum(
            (end - start) * batch / line["images_per_second"]
            for start, end, line in zip(steps, steps[1:], self.train, strict=False)
        )


def read_run_record(workdir: str | os.PathLike) -> RunRecord:
    """Reads the files of a run folder.

    Args:
        workdir: the folder that `experiments.train --workdir` wrote.

    Returns:
        The record. If a resumed run logged a step twice, the later line counts.

    Raises:
        RunFolderError: the folder holds no run, a file of it is damaged, or there are no metrics.
    """
    folder = pathlib.Path(workdir)
    if not folder.is_dir():
        raise RunFolderError(f"workdir: {folder} is not a folder; give that of a training run")
    for name in (CONFIG_FILE, METRICS_FILE):
        if not (folder / name).is_file():
            raise RunFolderError(
                f"workdir: {folder} holds no run ({name} is missing); give the folder of a "
                "training run"
            )
    lines = read_metrics(folder)
    if not lines:
        raise RunFolderError(
            f"workdir: {folder / METRICS_FILE} holds no metrics yet; continue the training"
        )
    train = [line for line in lines if line["split"] == "train"]
    evaluated = [line for line in lines if line["split"] != "train"]
    split = evaluated[-1]["split"] if evaluated else "test"
    run_file = folder / RUN_FILE
    run = _read_object(run_file) if run_file.is_file() else {}
    identity, events = read_identity(folder), read_events(folder)
    return RunRecord(folder, identity.values, run, train, evaluated, split, events)


def _read_object(path: pathlib.Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFolderError(f"workdir: {path} is damaged, it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RunFolderError(
            f"workdir: {path} is damaged: expected a JSON object, got {type(value).__name__}"
        )
    return value


def metric_names(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names of a task's metrics among what was logged, the loss first.

    Args:
        lines: lines of the log.
    """
    names = {
        name: None
        for line in lines
        for name, value in line.items()
        if name not in _OF_THE_RUN and isinstance(value, float)
    }
    return sorted(names, key=lambda name: name != "loss")


def flat_items(tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the leaves of nested mappings as (dotted name, readable value), in their order.

    Args:
        tree: nested mappings of JSON values.

    Returns:
        Names such as "optimizer.learning_rate", and their values as text; empty values are left
        out.
    """
    items = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            items.extend((f"{name}.{inner}", text) for inner, text in flat_items(value))
        elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
            items.extend(flat_items({f"{name}.{i}": v for i, v in enumerate(value, 1)}))
        elif value not in (None, "", [], ()):
            items.append((str(name), _readable(value)))
    return items


def _readable(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_readable(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return str(value)
