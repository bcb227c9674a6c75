"""The small training that is attacked, and what comes of it undisturbed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from scripts.torture.processes import Ended, Forked, run_command, start, start_command

STOPPED_AT = 13
"""The step at which the interrupted run is stopped, of 22."""

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""Temporary folders, kept until the process ends, which removes them."""

_TIMES = ("images_per_second", "waiting_share")

TRAIN = (
    "train",
    "--config=lenet5_digits",
    "--config.epochs=2",
    "--config.data.batch_size=128",
    "--log_every=1",
    "--checkpoint_steps=4",
    "--noprogress",
    "--noreport",
)


@dataclasses.dataclass(frozen=True)
class Small:
    """Undisturbed folders, and the right results.

    Attributes:
        data: the folder of prepared digits.
        finished: the folder of the finished run.
        stopped: the folder of the run that was stopped at `STOPPED_AT`.
        result: what `result_of` returns of the finished run.
        evaluations: what `evaluate --output` writes of the stopped run, by the checkpoint's step.
        seconds: how long an undisturbed training takes.
    """

    data: Path
    finished: Path
    stopped: Path
    result: dict[str, Any]
    evaluations: dict[int, dict[str, Any]]
    seconds: float


@functools.cache
def small_run() -> Small:
    """Makes the undisturbed folders, once in a process; they are removed at its end.

    Raises:
        RuntimeError: the undisturbed training fails, so that there is nothing to attack.
    """
    holder = tempfile.TemporaryDirectory(prefix="torture-")
    root = Path(holder.name)
    _FOLDERS.append(holder)
    # Of its own, since a killed process may leave half a program there.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(root / "compiled")
    data, finished, stopped = (root / name for name in ("data", "finished", "stopped"))
    log = root / "log"
    _expect(run_command(train_arguments(finished, data), log), 0)
    # The second one takes its programs from the cache, as all later ones do.
    again = run_command(train_arguments(root / "again", data), log)
    _expect(again, 0)
    result = result_of(finished, data, log)
    if result_of(root / "again", data, log) != result:
        raise RuntimeError("two undisturbed trainings differ: there is nothing to compare with")
    halt = start_command(train_arguments(stopped, data), log, before=_stop_at_step)
    _expect(halt.end(), 75)
    evaluations = {
        int(folder.name): evaluation_of(stopped, data, root, int(folder.name))
        for folder in sorted((stopped / "checkpoints").iterdir())
        if folder.name.isdecimal()
    }
    return Small(data, finished, stopped, result, evaluations, again.seconds)


def train_arguments(workdir: Path, data: Path) -> list[str]:
    """Returns the arguments of `cnnjax` that train, or resume.

    Args:
        workdir: the run's folder.
        data: the folder of prepared sets.
    """
    return [*TRAIN, f"--workdir={workdir}", f"--data_dir={data}"]


def evaluation_of(workdir: Path, data: Path, scratch: Path, step: int) -> dict[str, Any]:
    """Returns what `evaluate` writes of one checkpoint.

    Args:
        workdir: the run's folder.
        data: the folder of prepared sets.
        scratch: a folder for the files of the command.
        step: the checkpoint's.
    """
    output = scratch / "evaluation.json"
    arguments = ["evaluate", f"--workdir={workdir}", f"--data_dir={data}", f"--steps={step}"]
    _expect(run_command([*arguments, f"--output={output}"], scratch / "log"), 0)
    return comparable(json.loads(output.read_text()))


def comparable(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Returns an evaluation without the path of its run.

    Args:
        evaluation: what `evaluate --output` wrote.
    """
    return {name: value for name, value in evaluation.items() if name != "members"}


def result_of(workdir: Path, data: Path, log: Path) -> dict[str, Any]:
    """Returns the result of a run: its step, a digest of its variables, and its metrics.

    Args:
        workdir: the run's folder.
        data: the folder of prepared sets.
        log: the file for what is printed meanwhile.

    Returns:
        The result, or `problem`, what prevented it.
    """
    output = log.with_suffix(".result.json")
    output.unlink(missing_ok=True)
    ended = start(lambda: _write_result(workdir, data, output), log).end()
    if ended.code or not output.exists():
        return {"problem": ended.fault() or ended.output[-300:]}
    return json.loads(output.read_text())


def _write_result(workdir: Path, data: Path, output: Path) -> None:
    import jax

    from cnnjax import inference, training

    network = inference.load(workdir, data_dir=str(data))
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(network.variables):
        digest.update(np.asarray(leaf).tobytes())
    metrics = [
        {name: value for name, value in line.items() if name not in _TIMES}
        for line in training.read_metrics(workdir)
    ]
    found = {"step": int(network.step or 0), "digest": digest.hexdigest(), "metrics": metrics}
    output.write_text(json.dumps(found))


def difference(found: dict[str, Any], right: dict[str, Any], metrics: bool = True) -> str | None:
    """Returns in what a result differs from the right one; None where it does not.

    Args:
        found: what `result_of` returned.
        right: that of the undisturbed run.
        metrics: whether the logged metrics are compared too.
    """
    if "problem" in found:
        return f"the result cannot be read: {found['problem']}"
    for name in ("step", "digest", *(["metrics"] if metrics else [])):
        if found[name] != right[name]:
            return f"silently different: its {name} is not that of an undisturbed run"
    return None


def copy(folder: Path, scratch: Path) -> Path:
    """Returns a copy of a folder, to be damaged.

    Args:
        folder: one of `Small`'s.
        scratch: the folder for the copy.
    """
    return shutil.copytree(folder, scratch / folder.name, symlinks=True)


def start_training(workdir: Path, data: Path, log: Path) -> Forked:
    """Starts a training, or resumes it.

    Args:
        workdir: the run's folder.
        data: the folder of prepared sets.
        log: the file for what it prints.
    """
    return start_command(train_arguments(workdir, data), log)


def _stop_at_step() -> None:
    """Makes the training of this process receive SIGTERM at a step."""
    from cnnjax.training.loop.trainer import Trainer

    advance = Trainer.advance

    def stopping(self: Any) -> Any:
        result = advance(self)
        if self.step == STOPPED_AT:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    Trainer.advance = stopping


def _expect(ended: Ended, code: int) -> None:
    if ended.code != code or ended.fault():
        raise RuntimeError(f"undisturbed, exit code {ended.code}: {ended.output[-2000:]}")
