"""A whole run: training, evaluation, metrics and checkpoints in one folder, resumed where it is."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from cnnjax.training import run_folder
from cnnjax.training.checkpoints import Checkpoints
from cnnjax.training.config import RunConfig
from cnnjax.training.environment import (
    describe_code,
    describe_environment,
    environment_differences,
)
from cnnjax.training.evaluation import format_metrics, make_evaluator, make_predictor
from cnnjax.training.metrics import MetricsWriter
from cnnjax.training.plan import Plan, make_plan
from cnnjax.training.state import TrainState
from cnnjax.training.trainer import Trainer

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        step: steps done in all.
        split: what was evaluated, "test" or "validation".
        metrics: `loss` (nats), `accuracy` and `top5_error` (shares of 1) after the last step.
        seconds: wall time of this start of the run, compilation included.
        compile_seconds: the part of it in which the training step was compiled.
    """

    step: int
    split: str
    metrics: dict[str, float]
    seconds: float
    compile_seconds: float

    def summary(self) -> str:
        """Returns the lines that a program prints at the end."""
        return (
            format_metrics(self.split, self.step, self.metrics)
            + f"\n{'time':<22}{self.seconds:.1f} s, of which {self.compile_seconds:.1f} s compiling"
        )


def train_and_evaluate(
    config: RunConfig,
    workdir: str | Path,
    *,
    extend_to: int | None = None,
    log_every: int = 10,
    checkpoint_every: int = 1,
    data_dir: str | None = None,
    progress: bool = True,
) -> RunResult:
    """Trains as configured, from the newest checkpoint in the folder if there is one.

    The test split chooses nothing: what counts is the state after the last epoch.

    Args:
        config: the run's identity.
        workdir: its folder; made if it does not exist.
        extend_to: total number of epochs, to make a run longer than its configuration says.
        log_every: steps between two lines of training metrics.
        checkpoint_every: epochs between two checkpoints; the last epoch always has one.
        data_dir: TFDS data folder; None means TFDS's default.
        progress: show a progress bar with the loss and the time left.

    Returns:
        The metrics after the last epoch.

    Raises:
        ConfigError: the configuration cannot work; nothing was written.
        RunFolderError: the folder cannot hold this run; nothing was written.
        CheckpointError: the run's checkpoints are all damaged.
        TrainingDiverged: the loss was no longer finite.
    """
    begun = time.perf_counter()
    workdir = Path(workdir)
    for name, value in (("log_every", log_every), ("checkpoint_every", checkpoint_every)):
        if value < 1:
            raise ValueError(f"{name}: {value} was given; give 1 or more")
    plan = make_plan(config, extend_to)
    run_folder.check_folder(workdir, config)
    arrays = plan.load_train(data_dir)
    evaluated = plan.load_eval(data_dir)
    evaluate = make_evaluator(plan, evaluated)
    with run_folder.locked(workdir):
        checkpoints = Checkpoints(workdir / run_folder.CHECKPOINTS)
        state, environment = _restore(plan, checkpoints)
        start = int(state.step)
        run_folder.start_run(
            workdir, config, {**describe_code(), **environment, "resumed_from": start or None}
        )
        run = Trainer(plan, arrays, state)
        with (
            MetricsWriter(workdir, start) as writer,
            tqdm(
                total=max(plan.total_steps, start),
                initial=start,
                unit="step",
                desc=config.model.name,
                disable=not progress,
                dynamic_ncols=True,
            ) as bar,
        ):
            while run.step < plan.total_steps:
                for step, metrics in run.epoch(log_every):
                    writer.write("train", step, step / plan.epoch_steps, metrics)
                    bar.set_postfix(loss=f"{metrics['loss']:.4f}", refresh=False)
                    bar.update(run.step - bar.n)
                metrics = evaluate(run.state.eval_variables)
                writer.write(plan.eval_split, run.step, run.step / plan.epoch_steps, metrics)
                last = run.step >= plan.total_steps
                if last or (run.step // plan.epoch_steps) % checkpoint_every == 0:
                    record = {"config": config.model_dump(), "environment": environment}
                    checkpoints.save(run.step, run.state, record)
            if start < run.step:
                probabilities = make_predictor(plan)(run.state.eval_variables, evaluated.images)
                mistakes = plan.task.pictures(*evaluated, probabilities)
                writer.write_images(f"{plan.eval_split}/mistakes", run.step, mistakes)
        metrics = evaluate(run.state.eval_variables)
    seconds = time.perf_counter() - begun
    return RunResult(run.step, plan.eval_split, metrics, seconds, run.compile_seconds)


def _restore(plan: Plan, checkpoints: Checkpoints) -> tuple[TrainState, dict[str, Any]]:
    """Returns the newest state that can be trusted, or the first one, and what this runs on."""
    environment = describe_environment()
    step = checkpoints.newest_verified(move_damaged=True)
    if step is None:
        return plan.init_state(), environment
    differing = environment_differences(checkpoints.record(step)["environment"], environment)
    if differing:
        _logger.warning(
            "resuming on another environment, so the run may differ in the last bits: %s",
            "; ".join(differing),
        )
    _logger.info("resuming from the checkpoint of step %d", step)
    return checkpoints.restore(step, jax.eval_shape(plan.init_state)), environment
