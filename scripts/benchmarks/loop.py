r"""What the training loop adds to the step: the whole loop with its logging over the bare step.

    python -m scripts.benchmarks.loop
    python -m scripts.benchmarks.loop --nets=lenet5 --steps=200 --rounds=15 --log_every=10

The bare step is the compiled program alone, called again and again on data that is on the device.
The loop is what `experiments.train` runs: the order of examples, metrics read and written as JSON
lines and TensorBoard events, progress, and checks for signals. Evaluations and checkpoints are no
part of a step and are timed by themselves. Images are random: their contents change nothing here.
The two take turns, and the result is the ratio of their medians.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags

from cnnjax import data, recipes, training
from cnnjax.recipes.without_examples import run_fields
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.folder.names import CHECKPOINTS_FOLDER
from cnnjax.training.folder.ownership import RunIdentity, new_run_id
from cnnjax.training.loop.evaluation import make_evaluator
from cnnjax.training.loop.profiler import Profiler
from cnnjax.training.loop.run_log import RunLog
from cnnjax.training.loop.stopping import StopRequest
from cnnjax.training.loop.trainer import Trainer
from cnnjax.training.loop.training_loop import TrainingLoop
from scripts.benchmarks import machine
from scripts.benchmarks.timing import interleaved

NETS: dict[str, dict[str, Any]] = {
    "lenet5": {
        "model": {"name": "lenet5"},
        "data": {"name": "mnist", "pad": 2, "augmentation": "shift(2)"},
    },
    "resnet20_cifar": {
        "model": {"name": "resnet20_cifar"},
        "data": {"name": "cifar10", "augmentation": "crop(4), flip"},
        "optimizer": {"weight_decay": 1e-4},
    },
}

_NETS = flags.DEFINE_list("nets", list(NETS), f"Which of {', '.join(NETS)}.")
_STEPS = flags.DEFINE_integer("steps", None, "Steps of a round; about two seconds if not given.")
_ROUNDS = flags.DEFINE_integer("rounds", 15, "Rounds of each.", lower_bound=5)
_LOG_EVERY = flags.DEFINE_integer("log_every", 10, "As in training.", lower_bound=1)

_RECORD = {
    "run_id": new_run_id(),
    "config": RunIdentity("python", {}, []).description(),
    "facts": {},
    "environment": {},
}
"""What every checkpoint needs besides its state."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LongEpoch(training.Run):
    """A run in the middle of a long epoch.

    Attributes:
        last_step: the step after which it ends.
    """

    last_step: int = 0

    @property
    def epoch_steps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Steps of one epoch, whose end never comes."""
        return 10**9

    @property
    def total_steps(self) -> int:
        """Steps of the run."""
        return self.last_step


class Contest:
    """One network's step, bare and in the loop.

    Args:
        values: the configuration.
        workdir: an empty folder for what the loop writes.
        log_every: steps between two lines of metrics.
    """

    def __init__(self, values: dict[str, Any], workdir: Path, log_every: int):
        optimizer = {"momentum": 0.9, **values.get("optimizer", {})}
        values = {**values, "optimizer": optimizer, "epochs": 1000}
        values["data"] = {"batch_size": 128, **values["data"]}
        self.blueprint = recipes.make_blueprint(values)
        self.run = LongEpoch(train=self._stream(), **run_fields(self.blueprint))
        self.workdir = workdir
        self.log_every = log_every
        self.bare, self.looped = self._trainer(), self._trainer()
        self.compile_seconds = self.bare.compile()
        self.looped.compile()

    def _stream(self) -> data.Stream:
        section = self.blueprint.config.data
        examples = self._examples("train")
        return data.Stream(examples, section.batch_size, augmentation=section.augmentation)

    def _examples(self, split: str) -> data.Examples:
        rng = np.random.default_rng(0)
        size = self.blueprint.dataset.split_sizes[split]
        images = rng.integers(0, 256, (size, *self.blueprint.stored_shape), np.uint8)
        return data.from_arrays(image=images, label=rng.integers(0, 10, size))

    def _trainer(self) -> Trainer:
        state = self.run.init_state()
        placement = make_placement(Parallel(), state.params, self.run.first_batch_size)
        return Trainer(self.run, state, placement)

    def run_bare(self, steps: int) -> None:
        """Calls the compiled step alone.

        Args:
            steps: how many times.
        """
        # No public name gives the step without what the loop adds.
        trainer, step = self.bare, self.bare._compiled()
        given = trainer._batches.arguments(0)
        for _ in range(steps):
            trainer.state, _ = step(trainer.state, given)
        jax.block_until_ready(trainer.state)

    def run_loop(self, steps: int) -> None:
        """Goes on in the loop, as in the middle of a long epoch.

        Args:
            steps: how many.
        """
        trainer = self.looped
        until = self.run.replace(last_step=trainer.step + steps)
        with (
            StopRequest() as stop,
            contextlib.closing(Profiler(self.workdir, range(0))) as profiler,
            RunLog(until, self.workdir, trainer.step, progress=True, active=True) as log,
        ):
            TrainingLoop(
                run=until,
                trainer=trainer,
                evaluate=None,
                checkpoints=Checkpoints(self.workdir / CHECKPOINTS_FOLDER),
                log=log,
                stop=stop,
                profiler=profiler,
                cadence=training.Cadence(log_every=self.log_every),
                record=_RECORD,
                metrics=None,
            ).run_to_end()
        jax.block_until_ready(trainer.state)

    def seconds_of_the_rest(self) -> tuple[float, float]:
        """Returns the seconds of an evaluation of the test split, and of a checkpoint."""
        run, variables = self.run, self.looped.state.eval_variables
        evaluate = make_evaluator(run.model, run.task, run.preprocess, self._examples("test"))
        # Compiles.
        evaluate(variables, ())
        start = time.perf_counter()
        evaluate(variables, ())
        evaluated = time.perf_counter()
        Checkpoints(self.workdir / CHECKPOINTS_FOLDER).save(1, self.looped.host_state(), _RECORD)
        return evaluated - start, time.perf_counter() - evaluated


def _measure(name: str, steps: int | None, rounds: int, log_every: int) -> str:
    """Returns a network's line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(NETS[name], Path(folder), log_every)
        if steps is None:
            contest.run_bare(3)
            start = time.perf_counter()
            contest.run_bare(5)
            # About two seconds a round, by the speed of these five steps.
            steps = max(20, round(10 / (time.perf_counter() - start)))
        times = interleaved(
            {
                "bare": lambda: contest.run_bare(steps),
                "loop": lambda: contest.run_loop(steps),
            },
            rounds,
        )
        low, high = times.ratio_bounds("loop", "bare")
        evaluation, checkpoint = contest.seconds_of_the_rest()
        bare, loop = (1e3 * times.median(each) / steps for each in ("bare", "loop"))
        return (
            f"| {name} | {steps} | {bare:.3f} | {loop:.3f} | {times.ratio('loop', 'bare'):.3f} "
            f"({low:.3f} to {high:.3f}) | {contest.compile_seconds:.1f} | {evaluation:.2f} "
            f"| {checkpoint:.2f} |"
        )


def main(arguments: Sequence[str]) -> None:
    """Prints the table.

    Args:
        arguments: the program's name; nothing follows it.
    """
    del arguments
    print(
        f"{machine.describe()}; batch 128, log_every {_LOG_EVERY.value}, {_ROUNDS.value} rounds\n"
    )
    print(
        "| network | steps a round | bare step, ms | loop, ms a step | loop / bare (95 %) "
        "| compiling, s | an evaluation, s | a checkpoint, s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in _NETS.value:
        print(_measure(name, _STEPS.value, _ROUNDS.value, _LOG_EVERY.value), flush=True)


if __name__ == "__main__":
    app.run(main)
