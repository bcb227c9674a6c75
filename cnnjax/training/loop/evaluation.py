"""Exact evaluation: every example counts once, whatever the batch size and number of devices."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import flax.linen as linen
import jax
import numpy as np

from cnnjax import data
from cnnjax.tasks.base import Batch, Rows, Sums, Task
from cnnjax.tasks.values import Moment
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import Placement, make_placement
from cnnjax.training.loop.prediction import paced
from cnnjax.training.step.batch import kinds_of

EVAL_BATCH = 512
"""Examples evaluated at once, on all devices together, where nothing else is given."""

_COUNTED = "examples that count"
"""Name of the number of examples among the sums of a batch; no task has a sum of that name."""

_logger = logging.getLogger(__name__)


class NothingToEvaluate(data.DamagedImages):
    """No example of a split can be read."""


def make_evaluator(
    model: linen.Module,
    task: Task,
    preprocess: data.Preprocess,
    examples: data.Examples,
    batch_size: int = EVAL_BATCH,
    *,
    placement: Placement | None = None,
    read: data.ReadOptions | None = None,
) -> Callable[[Mapping[str, Any], Any], dict[str, float]]:
    """Returns a function from variables and the task's state to metrics over all the examples.

    The function is compiled at its first call.

    Args:
        model: the network.
        task: what it has learned.
        preprocess: from stored examples to network inputs.
        examples: what is evaluated, the same in all processes.
        batch_size: examples evaluated at once, on all devices together.
        placement: the devices of the variables and of each batch; None for one device.
        read: how examples that are not in memory are read.

    Returns:
        The function. It raises `NothingToEvaluate` where none of the examples can be read.
    """
    placement = placement or one_device()
    compiled = placement.compile_evaluation(batch_values(model, task, preprocess, examples))

    def evaluate(variables: Mapping[str, Any], state: Any = ()) -> dict[str, float]:
        batches = placed_batches(examples, batch_size, placement, read)
        sums, rows = add_up(compiled(variables, state, batch) for batch in batches)
        return task.metrics(without_count(sums, len(examples)), rows)

    return evaluate


def batch_values(
    model: linen.Module, task: Task, preprocess: data.Preprocess, examples: data.Examples
) -> Callable[[Any, Any, Batch], tuple[Sums, Rows]]:
    """Returns a pure function from variables, the task's state and a batch to sums and rows.

    Args:
        model: the network.
        task: what it has learned.
        preprocess: from stored examples to network inputs.
        examples: whose batches it takes, as they are stored.
    """
    kinds = kinds_of(examples)

    def values(variables: Any, state: Any, batch: Batch) -> tuple[Sums, Rows]:
        inputs = preprocess({name: batch[name] for name in kinds}, kinds)
        whole = {**batch, **inputs}
        # Nothing is random in evaluation, but a moment has a key.
        moment = Moment(jax.random.key(0), train=False, totals=task.totals(whole), state=state)
        sums, rows = task.evaluate(model, variables, whole, moment)
        return with_count(sums, batch), {**rows, "weight": batch["weight"]} if rows else {}

    return values


def placed_batches(
    examples: data.Examples,
    batch_size: int,
    placement: Placement,
    read: data.ReadOptions | None = None,
) -> Iterator[Batch]:
    """Cuts examples into batches of one size, in which each counts once, and puts them on devices.

    Args:
        examples: the same in all processes.
        batch_size: examples in a batch, on all devices; rounded up so that all have equally many.
        placement: the devices.
        read: how examples that are not in memory are read; one that cannot be read is logged and
            does not count.

    Yields:
        The parts as stored, and `weight`, which is 0 for the padding of the last batch.

    Raises:
        DamagedImages: too many images cannot be read.
    """
    size = placement.round_up(min(batch_size, len(examples)))
    for rows in _host_batches(examples, size, read or data.ReadOptions()):
        # A reader gives positions too, which only training uses.
        yield placement.put_batch({name: rows[name] for name in (*examples.spec, "weight")})


def _host_batches(
    examples: data.Examples, size: int, read: data.ReadOptions
) -> Iterator[Mapping[str, np.ndarray]]:
    """Yields this process's rows of each batch."""
    processes, process = jax.process_count(), jax.process_index()
    if examples.arrays is not None:
        # Arrays in memory need no reader: each process takes its rows of every batch.
        rows = slice(process * size // processes, (process + 1) * size // processes)
        for positions, weights in data.evaluation_batches(len(examples), size):
            yield {**examples.take(positions[rows]), "weight": weights[rows]}
        return
    reader = data.Reader(
        examples,
        data.EvaluationOrder(len(examples), size),
        process_index=process,
        process_count=processes,
        workers=read.workers,
        max_damaged=read.max_damaged,
    )
    yield from reader.batches()
    if reader.damaged:
        _logger.warning("%d images could not be read and do not count", len(reader.damaged))


def with_count(sums: Sums, batch: Batch) -> Sums:
    """Returns sums over a batch, with the number of its examples that count among them.

    Args:
        sums: sums by name.
        batch: gives the weights.
    """
    return {**sums, _COUNTED: batch["weight"].sum()}


def without_count(sums: Mapping[str, Any], examples: int) -> dict[str, Any]:
    """Returns added-up sums without the number of examples.

    Args:
        sums: those of `with_count`, added up.
        examples: how many examples the split has.

    Raises:
        NothingToEvaluate: no example counted.
    """
    if not sums[_COUNTED]:
        raise NothingToEvaluate(nothing_readable(examples))
    return {name: value for name, value in sums.items() if name != _COUNTED}


def nothing_readable(examples: int) -> str:
    """Returns the message where no example of a split can be read.

    Args:
        examples: how many there are.
    """
    return (
        f"evaluation: none of the {examples} examples can be read, so there is nothing to "
        "evaluate; the log names them: repair or remove them"
    )


def one_device() -> Placement:
    """Returns the placement on the first device alone."""
    return make_placement(Parallel(), {}, batch_size=1)


def all_devices() -> Placement:
    """Returns the placement that spreads batches over all devices."""
    return make_placement(Parallel("jit"), {}, batch_size=jax.device_count())


def add_up(
    parts: Iterable[tuple[Sums, Rows]],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
    """Returns the totals of sums, in float64, and all rows of weight above 0.

    Args:
        parts: sums and rows of each batch, which may still be being computed.

    Returns:
        The totals by name, and the rows by name; None for the rows where there are none.

    Raises:
        ValueError: there are no parts.
    """
    total: dict[str, np.ndarray] = {}
    collected: list[Mapping[str, np.ndarray]] = []
    for sums, rows in paced(parts):
        for name, values in sums.items():
            # In float64 the sums of a large set lose no digits.
            total[name] = total.get(name, 0) + np.asarray(values, np.float64)
        if rows:
            # The padding of the last batch has weight 0.
            kept = rows["weight"] > 0
            collected.append({name: rows[name][kept] for name in rows if name != "weight"})
    if not total:
        raise ValueError("evaluation: there are no examples")
    if not collected:
        return total, None
    return total, {
        name: np.concatenate([part[name] for part in collected]) for name in collected[0]
    }
