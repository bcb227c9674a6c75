"""Finds the origin of NaN or infinity: the step, and in it the layer, gradient or update."""

import logging
import math
from typing import Any

import jax
import jax.numpy as jnp

from cnnjax import compiler, nn, patterns
from cnnjax.analysis.calls import observe_calls
from cnnjax.tasks.base import Batch
from cnnjax.tasks.values import Moment
from cnnjax.training.check import state_shapes
from cnnjax.training.folder.checkpoints import Checkpoints, StateNotFinite
from cnnjax.training.folder.finite import nonfinite_names
from cnnjax.training.loop.gradient import loss_gradient
from cnnjax.training.loop.intervals import LossNotFinite
from cnnjax.training.loop.trainer import Trainer
from cnnjax.training.run import Run
from cnnjax.training.step.keys import step_key
from cnnjax.training.step.state import TrainState

_logger = logging.getLogger(__name__)


def explain_divergence(
    run: Run,
    trainer: Trainer,
    checkpoints: Checkpoints | None,
    noticed: LossNotFinite | StateNotFinite,
) -> str:
    """Repeats the steps since the last good checkpoint, one by one, to find the first bad number.

    A healthy run pays nothing for this: no state is kept and no step is examined. The repeated
    steps compute the same numbers, so they lead to the same place.

    Args:
        run: the run.
        trainer: runs the steps; its state is given up.
        checkpoints: where the last good state is; without one, the run's first state is made anew.
        noticed: the error by which the run noticed it.

    Returns:
        A message with the step, the place in it, the last good checkpoint and a remedy.
    """
    saved = None if checkpoints is None else checkpoints.newest_verified()
    first = saved or 0
    _logger.error("%s; repeating the steps since step %d to find the origin", noticed, first)
    if saved is None or checkpoints is None:
        state = run.init_state()
        last_good = "there is no checkpoint yet"
    else:
        state = checkpoints.restore(saved, state_shapes(run))
        last_good = (
            f"the last good checkpoint is that of step {saved}, in {checkpoints.path(saved)}"
        )
    origin = _origin(run, trainer, state, noticed.step)
    return (
        f"{noticed}. {origin}; {last_good}. A lower learning rate, a longer warm-up or clipped "
        "gradients (optimizer.learning_rate, schedule.warmup_epochs, optimizer.gradient_clip) may "
        "help"
    )


def _origin(run: Run, trainer: Trainer, state: TrainState, last: int) -> str:
    if bad := nonfinite_names(state):
        return f"The state before the first step is not finite already: {bad[0]}"
    trainer.restart(state)
    while trainer.step < last:
        before = trainer.host_state()
        loss = float(trainer.advance().loss)
        bad = nonfinite_names(trainer.host_state())
        if bad or not math.isfinite(loss):
            step = trainer.step
            return f"The origin is step {step}: " + (
                _first_place(run, before, trainer.batch(step - 1))
                or (f"{bad[0]} is not finite after the update" if bad else "the loss is not finite")
            )
    return (
        "The same steps, repeated, gave finite numbers: on this device a step does not give the "
        "same result each time"
    )


def _first_place(run: Run, before: TrainState, batch: Batch) -> str | None:
    """Returns, in words, what is not finite first in a step's forward and backward pass."""
    for name, values in zip(patterns.path_names(batch), jax.tree.leaves(batch), strict=True):
        if jnp.issubdtype(values.dtype, jnp.inexact) and not jnp.isfinite(values).all():
            return f"the batch's {name} is not finite"
    outputs = _finite_outputs(run, before, batch)
    for name, kind, finite in outputs:
        if not finite:
            layer = f"the layer {name} ({kind})" if name else f"the network ({kind}) itself"
            return f"the output of {layer} is the first that is not finite"
    found = loss_gradient(run, before, batch)
    finite = jax.device_get(jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), found))
    bad = [
        name
        for name, good in zip(patterns.path_names(found), jax.tree.leaves(finite), strict=True)
        if not good
    ]
    if not bad:
        return None
    # The backward pass reaches first the layer that was called last.
    called = {name: number for number, (name, _, _) in enumerate(outputs)}
    first = max(bad, key=lambda name: called.get(name.rpartition("/")[0], -1))
    return f"all outputs are finite, and the gradient of {first} is the first that is not"


def _finite_outputs(run: Run, state: TrainState, batch: Batch) -> list[tuple[str, str, bool]]:
    """Returns name, kind and finiteness of every module call's output, in order of their ends."""
    ended: list[tuple[str, str]] = []
    flags: dict[int, bool] = {}

    def note(number: int, flag: Any) -> None:
        # The blocks of one `lax.scan` share a number, and each calls this once.
        flags[number] = flags.get(number, True) and bool(flag)

    def around(call: Any, module: Any, inputs: Any, proceed: Any) -> Any:
        output = proceed()
        number = len(ended)
        ended.append((call.name, call.kind))
        finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(output)]
        # Only a callback brings values out of a scan or a rematerialized block.
        jax.debug.callback(lambda flag: note(number, flag), jnp.stack(finite).all())
        return output

    def loss(state: TrainState, batch: Batch) -> Any:
        moment = Moment(
            key=step_key(run.keys["dropout"], state.step),
            train=True,
            step=state.step,
            totals=run.task.totals(batch),
            averages=state.average_variables,
            state=state.task_state,
        )
        return run.task.loss(run.model, state.variables, batch, moment)

    epoch = run.phase(int(state.step))
    frozen = nn.batch_statistics(frozen=run.frozen_norms(state.variables, epoch))
    with frozen, observe_calls(around):
        jax.block_until_ready(compiler.jit(loss)(state, batch))
    jax.effects_barrier()
    return [(*what, flags.get(number, True)) for number, what in enumerate(ended)]
