"""A whole run: training, evaluation, metrics and checkpoints, resumed where it is."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnnjax import data
from cnnjax.tasks.sections import Evaluated
from cnnjax.training.callbacks import Callback
from cnnjax.training.check import check_run
from cnnjax.training.devices import processes
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import Placement, make_placement
from cnnjax.training.errors import ConfigError, RunFolderError, TrainingDiverged
from cnnjax.training.folder import run_folder
from cnnjax.training.folder.checkpoints import Checkpoints, StateNotFinite
from cnnjax.training.folder.environment import (
    describe_code,
    describe_environment,
    environment_differences,
)
from cnnjax.training.folder.metrics import read_metrics
from cnnjax.training.identity import run_identity
from cnnjax.training.loop.divergence import explain_divergence
from cnnjax.training.loop.evaluation import make_evaluator
from cnnjax.training.loop.intervals import LossNotFinite
from cnnjax.training.loop.prediction import make_predictor
from cnnjax.training.loop.profiler import Profiler, parse_steps
from cnnjax.training.loop.run_log import RunLog
from cnnjax.training.loop.stopping import StopRequest
from cnnjax.training.loop.trainer import Trainer
from cnnjax.training.loop.training_loop import Cadence, TrainingLoop
from cnnjax.training.result import RunResult
from cnnjax.training.run import Run
from cnnjax.training.step.state import TrainState

_logger = logging.getLogger(__name__)

PICTURED = 1000
"""Among how many examples that are not in memory those worth a picture are looked for."""


def fit(
    run: Run,
    workdir: str | Path | None = None,
    *,
    parallel: Parallel = Parallel(),  # noqa: B008 (it cannot be changed)
    cadence: Cadence = Cadence(),  # noqa: B008 (it cannot be changed)
    extend_to: int | None = None,
    profile_steps: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> RunResult:
    """Trains, from the newest checkpoint in the folder if there is one.

    The test split chooses nothing: what counts is the state after the last epoch. Where the run's
    `split` is "validation", the checkpoint with the best score on it is kept besides.

    SIGTERM and Ctrl-C end the current step, save and raise `TrainingStopped`; a Ctrl-C after that
    leaves at once.

    Args:
        run: what is trained.
        workdir: the run's folder, made if it does not exist; None to keep all in memory.
        parallel: how the run is spread over devices; the first device alone if not given.
        cadence: how often something is written.
        extend_to: total number of epochs, to make a run longer than it says.
        profile_steps: `a:b` traces the steps from a up to and with b, counted from 1, into
            `profile/` of the folder.
        read: whether examples are kept on the device, who decodes those that are not, and how many
            may be unreadable.
        callbacks: called at logs, evaluations and checkpoints.
        progress: show step, loss, speed and the time left while it goes on.

    Returns:
        Metrics, variables and history after the last epoch.

    Raises:
        ConfigError: the run or an option cannot work; nothing was written.
        RunFolderError: the folder cannot hold this run, and nothing was written; or it cannot be
            written any more (the disk is full, ...).
        CheckpointError: the run's checkpoints are all damaged, or one could not be written.
        TrainingDiverged: something was no longer finite; the message says where it began.
        DataError: examples are gone.
        DamagedImages: too many of them cannot be read.
        TrainingStopped: the run was asked to stop and has saved its state.
    """
    start = time.perf_counter()
    if extend_to is not None:
        run = run.replace(total_epochs=extend_to)
    profiled = parse_steps(profile_steps)
    if profiled and workdir is None:
        raise ConfigError("profile_steps: a trace needs a folder; give workdir")
    check_run(run)
    folder = None if workdir is None else _Folder(Path(workdir), run)
    placement = _place(run, parallel)
    if folder is not None:
        run_folder.check_folder(folder.path, folder.identity)
    evaluate = None
    if run.test is not None:
        evaluate = make_evaluator(
            run.model, run.task, run.preprocess, run.test, placement=placement, read=read
        )
    with _locked(folder), StopRequest() as stop:
        environment = {**describe_environment(), "layout": placement.layout()}
        environment["data"] = json.loads(json.dumps(_data_of(run)))
        restored, metrics = _restore(run, folder, environment)
        first, done = int(restored.step), metrics is not None
        trainer = Trainer(run, restored, placement, read)
        if folder is not None and processes.is_first():
            facts = {**describe_code(), **environment, "resumed_from": first or None}
            facts["layout"] = placement.describe(trainer.state)
            facts["model"], facts["dataset"] = run.names
            facts["batch_size"] = run.first_batch_size
            run_folder.start_run(folder.path, folder.identity, facts)
        with (
            closing(Profiler(Path(workdir or "."), profiled)) as profiler,
            RunLog(
                run,
                None if folder is None else folder.path,
                first,
                callbacks=callbacks,
                progress=progress,
                active=processes.is_first(),
            ) as log,
            closing(trainer),
        ):
            damaged = [] if folder is None else folder.checkpoints.moved_aside
            log.event("resumed" if first else "started", first, damaged=damaged)
            loop = TrainingLoop(
                run=run,
                trainer=trainer,
                evaluate=evaluate,
                checkpoints=None if folder is None else folder.checkpoints,
                log=log,
                stop=stop,
                profiler=profiler,
                cadence=cadence,
                record={
                    "config": None if folder is None else folder.identity.values,
                    "environment": environment,
                },
                metrics=metrics,
            )
            metrics = _run_to_end(loop)
            variables = trainer.host_state().eval_variables
            if first < trainer.step or not done:
                _log_pictures(run, variables, log, trainer.step)
                log.event("finished", trainer.step, left_out=dict(trainer.damaged))
    return RunResult(
        step=trainer.step,
        split=run.split,
        metrics=metrics,
        variables=variables,
        history=log.history if folder is None else read_metrics(folder.path),
        seconds=time.perf_counter() - start,
        compile_seconds=trainer.compile_seconds,
        lines=run.task.lines(run.split, metrics) if metrics else [],
    )


@dataclass(frozen=True)
class _Folder:
    """A run's folder and what it is to hold."""

    path: Path
    run: Run

    @cached_property
    def identity(self) -> run_folder.RunIdentity:
        made_by = "python" if self.run.identity is None else "configuration"
        values = json.loads(json.dumps(run_identity(self.run)))  # as it is read back
        return run_folder.RunIdentity(made_by, values, [dict(part) for part in self.run.parts])

    @cached_property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.path / run_folder.CHECKPOINTS)


def _place(run: Run, parallel: Parallel) -> Placement:
    if parallel.mode is None and jax.process_count() > 1:
        raise ConfigError(
            f"--parallel: {jax.process_count()} processes train together; give jit or pmap"
        )
    if parallel.mode is None and jax.device_count() > 1:
        _logger.info("training on 1 of %d devices; --parallel=jit uses all", jax.device_count())
    shapes = jax.eval_shape(run.init_state)
    for order in run.orders.values():
        placement = make_placement(parallel, shapes.params, order.batch_size, run.accumulate)
    placement = make_placement(parallel, shapes.params, run.first_batch_size, run.accumulate)
    # The scope of batch statistics is checked before anything is written.
    with placement.batch_statistics(run.batch_norm, run.first_batch_size // run.accumulate):
        return placement


def _locked(folder: _Folder | None) -> Any:
    if folder is None or not processes.is_first():
        return nullcontext()
    return run_folder.locked(folder.path)


def _data_of(run: Run) -> dict[str, Any]:
    """What decides the examples besides the run's identity."""
    evaluated = {} if run.test is None else {run.split: run.test.identity()}
    return {name: stream.examples.identity() for name, stream in run.streams.items()} | evaluated


def _run_to_end(loop: TrainingLoop) -> dict[str, float]:
    try:
        return loop.run_to_end()
    except (LossNotFinite, StateNotFinite) as noticed:
        message = explain_divergence(loop.run, loop.trainer, loop.checkpoints, noticed)
        loop.log.event("diverged", noticed.step, message=message)
        raise TrainingDiverged(message) from noticed


def _log_pictures(run: Run, variables: Mapping[str, Any], log: RunLog, step: int) -> None:
    if run.test is None or not log.writes_pictures or "image" not in run.test.spec:
        return
    examples = run.test
    if examples.arrays is None:
        examples = data.choose(examples, range(min(len(examples), PICTURED)))
    predict: Callable[..., Any] = make_predictor(run.model, run.task, run.preprocess)
    images = data.lazy_images(examples)
    evaluated = Evaluated(
        predictions=predict(variables, images),
        parts={name: examples.column(name) for name in examples.spec if name != "image"},
        images=images,
        positions=np.arange(len(examples)),
        split=run.split,
    )
    log.pictures(step, run.task.pictures(evaluated))


def _restore(
    run: Run, folder: _Folder | None, environment: dict[str, Any]
) -> tuple[TrainState, dict[str, float] | None]:
    """Returns the newest state that can be trusted, or the first one, and its metrics if any."""
    if folder is None:
        return run.init_state(), None
    checkpoints = folder.checkpoints
    # One process looks: looking moves what is damaged.
    step = processes.from_first(
        lambda: -1 if (newest := checkpoints.newest_verified(move_damaged=True)) is None else newest
    )
    if step < 0:
        return run.init_state(), None
    if step not in checkpoints.steps():
        raise RunFolderError(
            f"workdir: process 0 resumes from the checkpoint of step {step}, which process "
            f"{jax.process_index()} does not find in {checkpoints.folder}; all processes need the "
            "same folder"
        )
    record = checkpoints.record(step)
    differing = environment_differences(record["environment"], environment)
    if differing:
        _logger.warning(
            "resuming on another environment, so the run may differ in the last bits: %s",
            "; ".join(differing),
        )
    _logger.info("resuming from the checkpoint of step %d", step)
    if folder.identity.made_by == "python":
        _logger.info("the numbers inside an optimiser object cannot be compared with those before")
    state = checkpoints.restore(step, jax.eval_shape(run.init_state))
    return state, record.get("metrics")
