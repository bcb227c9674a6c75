"""A whole run: training, evaluation, metrics and checkpoints, resumed where it stopped."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnnjax import data
from cnnjax.tasks.sections import Evaluated
from cnnjax.training.callbacks import Callback
from cnnjax.training.check import check_run, check_shapes, state_shapes
from cnnjax.training.devices import processes
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import Placement, make_placement
from cnnjax.training.errors import ConfigError, TrainingDiverged
from cnnjax.training.folder.checkpoints import StateNotFinite
from cnnjax.training.folder.environment import describe_environment
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
from cnnjax.training.step.batch import kinds_of
from cnnjax.training.storage import Storage, make_storage

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
        extend_to: total number of epochs, to make a run longer than its `epochs`.
        profile_steps: `a:b` traces the steps from a up to and with b, counted from 1, into
            `profile/` of the folder.
        read: whether examples are kept on the device, who decodes those that are not, and how many
            may be unreadable.
        callbacks: called at the start, at logs, evaluations and checkpoints, and at the end.
        progress: whether step, loss, speed and the time left are shown during training.

    Returns:
        Metrics, variables and history after the last epoch.

    Raises:
        ConfigError: the run or an option cannot work; nothing was written.
        MissingPackage: a package that writes the folder is not installed.
        RunFolderError: the folder cannot hold this run, and nothing was written.
        FolderWriteError: the folder cannot be written any more (the disk is full, ...).
        CheckpointError: the run's checkpoints are all damaged, or one could not be written.
        TrainingDiverged: something was no longer finite; the message names the first place.
        DataError: examples are gone.
        DamagedImages: too many of them cannot be read.
        TrainingStopped: the run received a signal to stop and has saved its state.
    """
    start = time.perf_counter()
    _check_options(parallel, cadence, callbacks)
    if extend_to is not None:
        run = run.replace(total_epochs=extend_to)
    options = _Options(cadence, parse_steps(profile_steps), read, callbacks, progress)
    run = _checked(run, workdir, options)
    storage = make_storage(run, workdir, cadence.keep_checkpoints)
    placement, plan = _prepare(run, storage, parallel)
    with storage.locked(), StopRequest() as stop:
        return _train(run, storage, placement, plan, stop, options, start)


def _check_options(parallel: Any, cadence: Any, callbacks: Any) -> None:
    """Refuses options of another type."""
    for name, value, kind in (
        ("parallel", parallel, Parallel),
        ("cadence", cadence, Cadence),
        ("callbacks", callbacks, Sequence),
    ):
        if not isinstance(value, kind):
            what = f"training.{kind.__name__}" if kind is not Sequence else "sequence of callbacks"
            raise ConfigError(f"{name}: {value!r} was given; give a {what}")
    methods = [name for name in vars(Callback) if name.startswith("on_")]
    for callback in callbacks:
        if missing := [name for name in methods if not callable(getattr(callback, name, None))]:
            raise ConfigError(
                f"callbacks: {type(callback).__name__} has no method {missing[0]}; derive it from "
                "training.Callback"
            )


@dataclass(frozen=True)
class _Options:
    """What `fit` is called with besides the run and where it is kept and computed."""

    cadence: Cadence
    profiled: range
    read: data.ReadOptions
    callbacks: Sequence[Callback]
    progress: bool


def _checked(run: Run, workdir: str | Path | None, options: _Options) -> Run:
    """Refuses what cannot work, and returns the run with the shapes of its state."""
    if options.profiled and workdir is None:
        raise ConfigError("profile_steps: a trace needs a folder; give workdir")
    return run.replace(shapes=check_run(run))


def _prepare(
    run: Run, storage: Storage, parallel: Parallel
) -> tuple[Placement, Mapping[str, Any] | None]:
    """Refuses what cannot serve before anything is written; the last is the plan of a new start."""
    placement = _place(run, parallel)
    is_new = storage.check()
    if not is_new or run.start is None:
        return placement, None
    return placement, run.start.plan(state_shapes(run).variables)


def _train(
    run: Run,
    storage: Storage,
    placement: Placement,
    plan: Mapping[str, Any] | None,
    stop: StopRequest,
    options: _Options,
    start: float,
) -> RunResult:
    """Restores the newest state and trains from it to the run's end."""
    environment = {
        **describe_environment(),
        "layout": placement.layout(),
        "data": _data_of(run),
    }
    # A checkpoint of another environment is used too, but with a warning.
    state, metrics = storage.restore(environment)
    check_shapes(run, state)
    first, evaluated = int(state.step), metrics is not None
    trainer = Trainer(run, state, placement, options.read)
    record = storage.start(environment, placement.describe(trainer.state), first, plan)
    with (
        closing(Profiler(storage.path or Path("."), options.profiled)) as profiler,
        _open_log(run, storage, first, options) as log,
        closing(trainer),
    ):
        log.event("resumed" if first else "started", first, damaged=storage.damaged)
        log.started(record.get("run_id"), first)
        loop = TrainingLoop(
            run=run,
            trainer=trainer,
            evaluate=_evaluator(run, placement, options.read),
            checkpoints=storage.checkpoints,
            log=log,
            stop=stop,
            profiler=profiler,
            cadence=options.cadence,
            record=record,
            metrics=metrics,
        )
        metrics = _run_to_end(loop)
        # Called in all processes, which together gather a state that is cut over them.
        end = trainer.host_state()
        # A finished run that is started again changes nothing in its folder.
        if first < trainer.step or not evaluated:
            if metrics:
                _log_pictures(run, end.eval_variables, log, trainer.step)
            log.event("finished", trainer.step, left_out=dict(trainer.damaged))
    return RunResult(
        step=trainer.step,
        split=run.split,
        metrics=metrics,
        variables=end.eval_variables,
        task_state=end.task_state,
        history=storage.history(log.history),
        seconds=time.perf_counter() - start,
        compile_seconds=trainer.compile_seconds,
        lines=run.task.lines(run.split, metrics) if metrics else [],
    )


def _open_log(run: Run, storage: Storage, first: int, options: _Options) -> RunLog:
    return RunLog(
        run,
        storage.path,
        first,
        callbacks=options.callbacks,
        progress=options.progress,
        active=processes.is_first(),
    )


def _place(run: Run, parallel: Parallel) -> Placement:
    # Without a mode each process would train the same run alone, all in one folder.
    if parallel.mode is None and jax.process_count() > 1:
        raise ConfigError(
            f"--parallel: {jax.process_count()} processes train together; give jit or pmap"
        )
    if parallel.mode is None and jax.device_count() > 1:
        _logger.info("training on 1 of %d devices; --parallel=jit uses all", jax.device_count())
    params = state_shapes(run).params
    sizes = [order.batch_size for order in run.orders.values()]
    # Every stream's batch has to be spread evenly; the first one's placement is that of all.
    placement, *_ = [make_placement(parallel, params, size, run.accumulate) for size in sizes]
    # The scope of batch statistics is checked before anything is written.
    with placement.batch_statistics(run.batch_norm, run.first_batch_size // run.accumulate):
        return placement


def _evaluator(
    run: Run, placement: Placement, read: data.ReadOptions
) -> Callable[[Mapping[str, Any], Any], dict[str, float]] | None:
    if run.test is None:
        return None
    return make_evaluator(
        run.model, run.task, run.preprocess, run.test, placement=placement, read=read
    )


def _data_of(run: Run) -> dict[str, Any]:
    """What decides the examples besides the run's identity, as it is read back from JSON."""
    described = {name: stream.examples.identity() for name, stream in run.streams.items()}
    if run.test is not None:
        described[run.split] = run.test.identity()
    return json.loads(json.dumps(described))


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
    # Pictures are worth reading some examples again, but not a whole large set.
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
        framed=run.preprocess.framed(kinds_of(examples)),
    )
    log.pictures(step, run.task.pictures(evaluated))
