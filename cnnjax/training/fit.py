"""A whole run: training, evaluation, metrics and checkpoints in one folder, resumed where it is."""

import logging
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from cnnjax import data
from cnnjax.recipes.config import RunConfig
from cnnjax.recipes.plan import Plan, make_plan
from cnnjax.training.devices import processes as distributed
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.errors import ConfigError, RunFolderError, TrainingDiverged
from cnnjax.training.folder import run_folder
from cnnjax.training.folder.checkpoints import Checkpoints, StateNotFinite
from cnnjax.training.folder.environment import (
    describe_code,
    describe_environment,
    environment_differences,
)
from cnnjax.training.loop.divergence import explain_divergence
from cnnjax.training.loop.evaluation import format_metrics, make_evaluator, make_predictor
from cnnjax.training.loop.meter import LossNotFinite
from cnnjax.training.loop.profiler import Profiler, parse_steps
from cnnjax.training.loop.steps import Cadence, Steps
from cnnjax.training.loop.stopping import StopRequest
from cnnjax.training.loop.trainer import Trainer
from cnnjax.training.loop.watching import Watch
from cnnjax.training.step.state import TrainState

_logger = logging.getLogger(__name__)

PICTURED = 1000
"""Among how many streamed images the most mistaken ones are looked for."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        step: steps done in all.
        split: what was evaluated, "test" or "validation".
        metrics: `loss`, `accuracy` and `top5_error` (shares of 1) after the last step.
        seconds: wall time of this start of the run, compilation included.
        compile_seconds: the part of it in which the training step was compiled.
        loss_unit: what the loss is measured in; "" where it is a plain number.
    """

    step: int
    split: str
    metrics: dict[str, float]
    seconds: float
    compile_seconds: float
    loss_unit: str = ""

    def summary(self) -> str:
        """Returns the lines that a program prints at the end."""
        return (
            format_metrics(self.split, self.step, self.metrics, self.loss_unit)
            + f"\n{'time':<22}{self.seconds:.1f} s, of which {self.compile_seconds:.1f} s compiling"
        )


def train_and_evaluate(
    config: RunConfig,
    workdir: str | Path,
    *,
    extend_to: int | None = None,
    log_every: int = 10,
    checkpoint_every: int = 1,
    checkpoint_steps: int = 0,
    histograms_every: int = 0,
    profile_steps: str | None = None,
    data_dir: str | None = None,
    inputs: data.Inputs = data.Inputs(),  # noqa: B008 (it cannot be changed)
    parallel: Parallel = Parallel(),  # noqa: B008 (it cannot be changed)
    progress: bool = True,
) -> RunResult:
    """Trains as configured, from the newest checkpoint in the folder if there is one.

    The test split chooses nothing: what counts is the state after the last epoch. Where validation
    examples are held out, the checkpoint with the highest accuracy on them is kept besides.

    SIGTERM and Ctrl-C end the current step, save and raise `TrainingStopped`; a Ctrl-C after that
    leaves at once.

    Args:
        config: the run's identity.
        workdir: its folder; made if it does not exist.
        extend_to: total number of epochs, to make a run longer than its configuration says.
        log_every: steps between two lines of training metrics.
        checkpoint_every: epochs between two checkpoints; the last epoch always has one.
        checkpoint_steps: steps between two checkpoints, inside epochs too; 0 for none of them.
        histograms_every: epochs between two sets of histograms of parameters and gradients in
            TensorBoard; 0 for none.
        profile_steps: `a:b` traces the steps from a up to and with b, counted from 1, into
            `profile/`.
        data_dir: TFDS data folder; None means TFDS's default.
        inputs: whether images are kept on the device, who decodes those that are not, and how many
            may be unreadable.
        parallel: how the run is spread over devices; the first device alone if not given.
        progress: tell step, loss, speed and the time left while it goes on.

    Returns:
        The metrics after the last epoch.

    Raises:
        ConfigError: the configuration or an option cannot work; nothing was written.
        RunFolderError: the folder cannot hold this run, and nothing was written; or it cannot be
            written any more (the disk is full, ...).
        CheckpointError: the run's checkpoints are all damaged, or one could not be written.
        TrainingDiverged: something was no longer finite; the message says where it began.
        DataError: the images are not prepared, gone, or not what they should be.
        DamagedImages: too many of them cannot be read.
        TrainingStopped: the run was asked to stop and has saved its state.
    """
    begun = time.perf_counter()
    workdir = Path(workdir)
    cadence = Cadence(log_every, checkpoint_every, checkpoint_steps, histograms_every)
    profiled = parse_steps(profile_steps)
    plan = make_plan(config, extend_to, data_dir)
    shapes = jax.eval_shape(plan.init_state)
    size, parts = config.data.batch_size, config.optimizer.accumulate
    placement = make_placement(parallel, shapes.params, size, parts)
    placement.batch_statistics(config.batch_norm, size // parts)  # refused before any work
    if parallel.mode is None and jax.process_count() > 1:
        raise ConfigError(
            f"--parallel: {jax.process_count()} processes train together; give jit or pmap"
        )
    if parallel.mode is None and jax.device_count() > 1:
        _logger.info("training on 1 of %d devices; --parallel=jit uses all", jax.device_count())
    run_folder.check_folder(workdir, config)
    with distributed.first_before_others():  # the first to come may have to build the set
        examples = plan.load_train(data_dir, inputs.resident)
        evaluated = plan.load_eval(data_dir, inputs.resident)
    evaluate = make_evaluator(plan, evaluated, placement=placement, inputs=inputs)
    writing = distributed.is_first()
    with run_folder.locked(workdir) if writing else nullcontext(), StopRequest() as stop:
        checkpoints = Checkpoints(workdir / run_folder.CHECKPOINTS)
        environment = {
            **describe_environment(),
            "layout": placement.layout(),
            "data": data.describe_examples(plan.dataset, examples),
        }
        state, metrics = _restore(plan, checkpoints, environment)
        start, done = int(state.step), metrics is not None
        trainer = Trainer(plan, examples, state, placement, inputs)
        if writing:
            facts = {**describe_code(), **environment, "resumed_from": start or None}
            facts["layout"] = placement.describe(trainer.state)
            run_folder.start_run(workdir, config, facts)
        with (
            closing(Profiler(workdir, profiled)) as profiler,
            Watch(plan, workdir, start, progress=progress, active=writing) as watch,
            closing(trainer),
        ):
            damaged = checkpoints.moved_aside
            watch.event("resumed" if start else "started", start, damaged=damaged)
            record = {"config": config.model_dump(), "environment": environment}
            steps = Steps(
                plan,
                trainer,
                evaluate,
                checkpoints,
                watch,
                stop,
                profiler,
                cadence,
                record,
                metrics,
            )
            try:
                metrics = steps.run_to_end()
            except (LossNotFinite, StateNotFinite) as noticed:
                message = explain_divergence(plan, trainer, checkpoints, noticed)
                watch.event("diverged", noticed.step, message=message)
                raise TrainingDiverged(message) from noticed
            if start < trainer.step or not done:
                variables = trainer.host_state().eval_variables
                watch.pictures(trainer.step, _mistakes(plan, variables, evaluated))
                watch.event("finished", trainer.step, left_out=dict(trainer.damaged))
    seconds = time.perf_counter() - begun
    return RunResult(
        trainer.step,
        plan.eval_split,
        metrics,
        seconds,
        trainer.compile_seconds,
        plan.task.loss_unit,
    )


def _mistakes(plan: Plan, variables: Any, evaluated: data.Examples) -> Any:
    if isinstance(evaluated, data.EncodedImages):
        evaluated = evaluated.first(PICTURED)
    images = evaluated.images[:]
    probabilities = make_predictor(plan)(variables, images)
    return plan.task.pictures(images, evaluated.labels, probabilities)


def _restore(
    plan: Plan, checkpoints: Checkpoints, environment: dict[str, Any]
) -> tuple[TrainState, dict[str, float] | None]:
    """Returns the newest state that can be trusted, or the first one, and its metrics if any."""
    # One process looks: looking moves what is damaged.
    step = distributed.from_first(
        lambda: -1 if (newest := checkpoints.newest_verified(move_damaged=True)) is None else newest
    )
    if step < 0:
        return plan.init_state(), None
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
    state = checkpoints.restore(step, jax.eval_shape(plan.init_state))
    return state, record.get("metrics")
