"""What a run folder records: the configuration, the circumstances and the metrics of a run."""

import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnjax.training import RunFolderError, read_events, read_metrics
from cnnjax.training.folder.events import events_damage
from cnnjax.training.folder.json_lines import is_count
from cnnjax.training.folder.metrics import metrics_damage
from cnnjax.training.folder.names import CONFIG_FILE, METRICS_FILE, RUN_FILE
from cnnjax.training.folder.run_folder import read_identity

# Logged numbers that are no metrics of the task.
_OF_THE_RUN = frozenset(
    {"step", "epoch", "split", "learning_rate", "images_per_second", "waiting_share"}
)


class NoMetrics(RunFolderError):
    """A run has logged no metrics yet."""


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
        damage: a sentence for each file of which something cannot be read.
    """

    workdir: pathlib.Path
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    train: Sequence[Mapping[str, Any]]
    evaluated: Sequence[Mapping[str, Any]]
    split: str
    events: Sequence[Mapping[str, Any]] = ()
    damage: Sequence[str] = ()

    @property
    def training_seconds(self) -> float | None:
        """Seconds in training steps, without evaluation and compilation; None if not known."""
        batch = self.run.get("batch_size")
        if batch is None or not all(line.get("images_per_second") for line in self.train):
            return None
        # Each line logs the speed since the line before, and the first one since step 0.
        steps = [0, *(line["step"] for line in self.train)]
        seconds = sum(
            (end - start) * batch / line["images_per_second"]
            for start, end, line in zip(steps, steps[1:], self.train, strict=False)
        )
        return seconds if math.isfinite(seconds) else None


def read_run_record(workdir: str | os.PathLike) -> RunRecord:
    """Reads the files of a run folder.

    Args:
        workdir: the folder that `experiments.train --workdir` wrote.

    Returns:
        The record. If a resumed run logged a step twice, the later line counts. What cannot be read
        of `run.json`, the metrics and the events is left out, and named in `damage`.

    Raises:
        RunFolderError: the folder holds no run, or its `config.json` is damaged.
        NoMetrics: the run has logged no metrics yet.
    """
    folder = pathlib.Path(workdir)
    if not folder.is_dir():
        raise RunFolderError(f"workdir: {folder} is not a folder; give that of a training run")
    for name in (CONFIG_FILE, METRICS_FILE):
        if not os.path.lexists(folder / name):
            raise RunFolderError(
                f"workdir: {folder} holds no run ({name} is missing); give the folder of a "
                "training run"
            )
    lines, lost = read_metrics(folder), metrics_damage(folder)
    if not lines and lost is None:
        raise NoMetrics(
            f"workdir: {folder / METRICS_FILE} holds no metrics yet; continue the training"
        )
    train = [line for line in lines if line["split"] == "train"]
    evaluated = [line for line in lines if line["split"] != "train"]
    split = evaluated[-1]["split"] if evaluated else "test"
    run, damage = _read_facts(folder / RUN_FILE)
    damage += [sentence for sentence in (lost, events_damage(folder)) if sentence is not None]
    identity, events = read_identity(folder), read_events(folder)
    return RunRecord(folder, identity.values, run, train, evaluated, split, events, damage)


def _read_facts(path: pathlib.Path) -> tuple[dict[str, Any], list[str]]:
    """Returns what can be read of `run.json`, and sentences on what cannot."""
    if not os.path.lexists(path):
        return {}, []
    try:
        # A named pipe would be waited for.
        values = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{path.name} cannot be read: {error}."]
    if not isinstance(values, dict):
        return {}, [f"{path.name} cannot be read: it holds no JSON object."]
    wrong = [
        name
        for name, fits in _FACTS.items()
        if values.get(name) is not None and not fits(values[name])
    ]
    for name in wrong:
        del values[name]
    return values, [f"{path.name}: {name} cannot be read and is left out." for name in wrong]


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_layout(value: Any) -> bool:
    """Returns whether a JSON value describes devices as a run does."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("mesh"), dict)
        and all(map(is_count, value["mesh"].values()))
        and _is_texts(value.get("devices", []))
        and isinstance(value.get("parallel"), str)
        and is_count(value.get("processes"))
        and ("parameter_bytes" in value) == ("parameter_bytes_per_device" in value)
        and is_count(value.get("parameter_bytes", 0))
        and is_count(value.get("parameter_bytes_per_device", 0))
    )


_FACTS: Mapping[str, Callable[[Any], bool]] = {
    "command": lambda value: isinstance(value, str) or _is_texts(value),
    "batch_size": is_count,
    "layout": _is_layout,
}
"""What a page computes with, and does not only show."""


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
