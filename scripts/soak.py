r"""A long run with everything on: does it use more memory, files or threads as it goes?

python -m scripts.soak --output=docs/results/soak.md
python -m scripts.soak --steps=200 --first=60

LeNet-5 is trained on images that are read one by one, with a checkpoint each 20 steps, histograms
each epoch and a profile in the middle. Resident memory, open files and threads of the process are
read from Linux's /proc at an early step and at the end. Exits with 1 where there are more.
"""

import argparse
import gc
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optax

from cnnjax import data, models, tasks, training, writing
from scripts.benchmarks.machine import describe

STEPS = 2000
FIRST = 200
EVERY = 20
"""Steps between two checkpoints, and between two measurements."""

EPOCH = 100
PROFILED = 5
BATCH = 32
CLASSES = 10

MEMORY_SHARE = 0.05
"""By how much of itself the resident memory may grow: the allocator does not return all at once."""

SPARE_THREADS = 4
"""Threads that come and go: tensorstore, which writes checkpoints, starts its pool on demand.

A thread that each checkpoint left behind would be 90 of them."""


@dataclass(frozen=True)
class Usage:
    """What the process uses.

    Attributes:
        step: steps done.
        memory: resident memory in MiB.
        files: open files, pipes and sockets.
        threads: threads of the system, those of libraries included.
    """

    step: int
    memory: float
    files: int
    threads: int


class Drawn:
    """Images that are drawn when they are read, as those of a large set are decoded.

    Args:
        size: how many there are.
    """

    def __init__(self, size: int):
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: int) -> dict[str, np.ndarray]:
        """Returns the image and the label at a position.

        Args:
            position: from 0.
        """
        generator = np.random.default_rng(position)
        label = position % CLASSES
        image = generator.integers(0, 128, (28, 28, 1), np.uint8)
        image[2 * label : 2 * label + 8] += np.uint8(127)
        return {"image": image, "label": np.asarray(label, np.int32)}


@dataclass
class Watch(training.Callback):
    """Reads what the process uses at every log.

    Attributes:
        read: what was read, in order of steps.
    """

    read: list[Usage] = field(default_factory=list)

    def on_log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Reads it.

        Args:
            step: steps done.
            metrics: not used.
        """
        del metrics
        self.read.append(usage(step))


def usage(step: int) -> Usage:
    """Returns what this process uses now.

    Args:
        step: steps done.

    Raises:
        OSError: the system has no /proc.
    """
    # What waits to be freed is not a leak.
    gc.collect()
    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if line
    )
    return Usage(
        step,
        int(status["VmRSS"].split()[0]) / 1024,
        len(os.listdir("/proc/self/fd")),
        int(status["Threads"]),
    )


def soak(workdir: Path, steps: int, epoch: int = EPOCH) -> list[Usage]:
    """Trains with checkpoints, histograms, a profile and streamed images.

    Args:
        workdir: the run's folder.
        steps: how many, a multiple of `epoch`.
        epoch: steps of an epoch, a multiple of the steps between two checkpoints.

    Returns:
        What the process used every 20 steps, at the last step among them.
    """
    run = training.Run(
        model=models.create_model("lenet5", num_classes=CLASSES),
        task=tasks.Classification(tuple(str(number) for number in range(CLASSES))),
        train=data.Stream(data.from_source(Drawn(epoch * BATCH)), BATCH, augmentation="shift(1)"),
        test=data.from_source(Drawn(4 * BATCH)),
        optimizer=optax.adam(1e-3),
        epochs=steps // epoch,
    )
    watch = Watch()
    middle = steps // 2
    training.fit(
        run,
        workdir,
        cadence=training.Cadence(log_every=EVERY, checkpoint_steps=EVERY, histograms_every=1),
        profile_steps=f"{middle + 1}:{middle + PROFILED}",
        read=data.ReadOptions(workers=data.Workers(threads=2)),
        callbacks=[watch],
        progress=False,
    )
    return watch.read


def growth(first: Usage, last: Usage, share: float = MEMORY_SHARE) -> list[str]:
    """Returns a sentence for each thing of which the process uses more than before.

    Args:
        first: what it used early.
        last: what it uses at the end.
        share: by how much of itself memory may grow.
    """
    found = []
    if last.memory > (1 + share) * first.memory:
        found.append(f"memory grew from {first.memory:.0f} to {last.memory:.0f} MiB")
    for name, spare in (("files", 0), ("threads", SPARE_THREADS)):
        before, after = getattr(first, name), getattr(last, name)
        if after > before + spare:
            found.append(f"{name} grew from {before} to {after}")
    return found


def page(read: Sequence[Usage], command: str) -> str:
    """Returns the page of results.

    Args:
        read: what the process used, in order of steps.
        command: how it was measured.
    """
    shown = [read[0], *(each for each in read if each.step in (FIRST, STEPS // 2)), read[-1]]
    rows = [
        f"| {each.step:,} | {each.memory:,.0f} | {each.files} | {each.threads} |"
        for each in {each.step: each for each in shown}.values()
    ]
    lines = [
        "# A long run",
        "",
        f"Written by `{command}`; do not edit. {describe()}.",
        f"LeNet-5, {read[-1].step:,} steps of {BATCH} images that are read one by one. Each",
        f"{EVERY} steps a checkpoint, each {EPOCH} an evaluation and histograms; in the middle a",
        f"profile of {PROFILED} steps. Read from /proc after garbage collection.",
        "",
        "| step | resident memory, MiB | open files | threads |",
        "|--:|--:|--:|--:|",
        *rows,
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Trains, prints what the process uses, and writes the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help=f"a multiple of {EPOCH}")
    parser.add_argument("--first", type=int, default=FIRST, help="the early step of comparison")
    parser.add_argument("--output", type=Path, help="the page to write")
    options = parser.parse_args()
    if options.steps % EPOCH or options.first % EVERY or not 0 < options.first < options.steps:
        parser.error(f"give --steps that {EPOCH} divides, and a smaller --first that {EVERY} does")
    training.keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        read = soak(Path(folder) / "run", options.steps)
    text = page(read, "python -m scripts.soak --output=docs/results/soak.md")
    print(text)
    if options.output is not None:
        writing.write_text(options.output, text)
    first = next(each for each in read if each.step == options.first)
    if found := growth(first, read[-1]):
        sys.exit("; ".join(found))


if __name__ == "__main__":
    main()
