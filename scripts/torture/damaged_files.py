"""Every kind of file of a run folder and of a data folder is damaged; then the folder is used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from scripts.torture.attack import Attack, Outcome, failed, held
from scripts.torture.damage import damage_one
from scripts.torture.processes import Ended, run_command
from scripts.torture.small_run import (
    Small,
    comparable,
    copy,
    difference,
    result_of,
    small_run,
    train_arguments,
)

_USES = ("resume", "evaluate", "report")


def attempt_run(generator: np.random.Generator, scratch: Path) -> list[Outcome]:
    """Damages a file of a run folder, then resumes, evaluates or reports.

    Args:
        generator: chooses the file, the damage and the use.
        scratch: an empty folder.
    """
    small = small_run()
    workdir = copy(small.stopped, scratch)
    use = _USES[generator.integers(len(_USES))]
    file, damage, precious = damage_one(workdir, generator, scratch)
    return _compare(small, workdir, small.data, use, f"{file} {damage}", precious, scratch)


def attempt_data(generator: np.random.Generator, scratch: Path) -> list[Outcome]:
    """Damages a file of a data folder, then trains anew, resumes or evaluates.

    Args:
        generator: chooses the file, the damage and the use.
        scratch: an empty folder.
    """
    small = small_run()
    data = copy(small.data, scratch)
    use = ("train", *_USES)[generator.integers(1 + len(_USES))]
    workdir = scratch / "new" if use == "train" else copy(small.stopped, scratch)
    file, damage, precious = damage_one(data, generator, scratch)
    return _compare(small, workdir, data, use, f"data: {file} {damage}", precious, scratch)


def _compare(
    small: Small,
    workdir: Path,
    data: Path,
    use: str,
    damage: str,
    precious: Path,
    scratch: Path,
) -> list[Outcome]:
    """Uses a damaged folder and compares what comes of it."""
    before = precious.read_bytes()
    log, output = scratch / "log", scratch / "evaluation.json"
    arguments = train_arguments(workdir, data)
    if use in ("evaluate", "report"):
        arguments = [use, f"--workdir={workdir}", f"--data_dir={data}"]
        arguments.append(f"--output={output}" if use == "evaluate" else "--noanalysis")
    ended = run_command(arguments, log)
    story = f"{damage}, {use}"
    if fault := ended.fault():
        return failed(f"{story}: {fault}")
    if precious.read_bytes() != before:
        return failed(f"{story}: a file outside was written through a link")
    if ended.code:
        return held(f"{story}: exit code {ended.code}, with a message")
    if use in ("train", "resume"):
        # What a damaged log has lost is not in the metrics; the network is the same.
        found = result_of(workdir, data, log)
        lost = "metrics.jsonl" in damage
        problem = difference(found, small.result, metrics=not lost)
        if lost and not problem and any(m not in small.result["metrics"] for m in found["metrics"]):
            problem = "silently different: a damaged line of its metrics was read"
    else:
        problem = _of_evaluation(small, use, ended, workdir, output)
    return failed(f"{story}: {problem}") if problem else held(f"{story}: the right result")


def _of_evaluation(small: Small, use: str, ended: Ended, workdir: Path, output: Path) -> str | None:
    """Returns what is wrong with an evaluation or a page; None for the right one of its step."""
    if use == "evaluate":
        written = json.loads(output.read_text())
        step = int(written["members"][0]["step"])
        if step not in small.evaluations or comparable(written) != small.evaluations[step]:
            return f"silently different: the evaluation of step {step} is another"
    else:
        page = (workdir / "report.html").read_text()
        found = re.search(r"The network after step ([\d,]+)", page)
        step = int(found[1].replace(",", "")) if found else -1
        accuracy = small.evaluations.get(step, {}).get("accuracy")
        if accuracy is None or f"{accuracy:.2%}".replace("%", " %") not in page:
            return f"silently different: the page of step {step} has another accuracy"
    if step != max(small.evaluations) and "damaged" not in ended.output:
        return f"an older checkpoint, of step {step}, was taken without a warning"
    return None


RUN = Attack("run-files", attempt_run, "damaged files of a run folder, then its use", small_run)
DATA = Attack("data-files", attempt_data, "damaged files of a data folder, then its use", small_run)
