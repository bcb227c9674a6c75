"""A network's whole training step, compiled: forward, backward and update."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnnjax import models
from cnnjax.ops.conv import onednn
from cnnjax.training.devices.allocator import keep_temporaries
from scripts.benchmarks.cases.whole_nets import WholeNet
from scripts.benchmarks.plain_flax import plain_layers, without_dropout


@dataclasses.dataclass
class JaxStep:
    """A compiled step with the state that it moves.

    Attributes:
        program: from (state, images, labels) to the next state, in the memory of the old one, and
            the loss before the update.
        state: parameters, other collections and momentum.
        batch: images and labels, on the device.
        compile_seconds: time that tracing and compiling took.
    """

    program: jax.stages.Compiled
    state: Any
    batch: tuple[jax.Array, jax.Array]
    compile_seconds: float

    def __call__(self) -> jax.Array:
        """Does a step without waiting for it, and returns its loss."""
        self.state, loss = self.program(self.state, *self.batch)
        return loss

    @property
    def temp_mb(self) -> float | None:
        """The program's peak temporary memory, where the compiler reports it."""
        analysis = self.program.memory_analysis()
        return analysis.temp_size_in_bytes / 1e6 if analysis else None


def compile_step(
    net: WholeNet,
    model: Any,
    variables: Mapping[str, Any],
    images: np.ndarray,
    labels: np.ndarray,
    optimizer: optax.GradientTransformation,
    options: dict[str, Any] | None = None,
    *,
    plain: bool = False,
) -> JaxStep:
    """Returns a compiled step of a network on one batch; dropout is off.

    Args:
        net: the heads whose losses count, with their weights.
        model: the network.
        variables: its float32 variables, which are copied.
        images: the batch, NHWC.
        labels: the class of each image.
        optimizer: the update.
        options: compiler options; None to compile as the package's own training does.
        plain: whether flax's own layers take the place of ours.
    """

    @jax.jit
    def first_state(variables):
        collections = dict(variables)
        params = collections.pop("params")
        return params, collections, optimizer.init(params)

    # A copy: each contestant's step reuses the memory of its state.
    state = first_state(variables)
    batch = jnp.asarray(images), jnp.asarray(labels)
    step = make_step(net, model, optimizer, plain=plain)
    start = time.perf_counter()
    if options is None:
        program = onednn.compiled(step, state, *batch, donate_argnums=0)
    else:
        jitted = jax.jit(step, donate_argnums=0, compiler_options=options)
        program = jitted.lower(state, *batch).compile()
    seconds = time.perf_counter() - start
    # For all contestants alike, as the trainer does.
    keep_temporaries(program)
    return JaxStep(program, state, batch, seconds)


def make_step(
    net: WholeNet, model: Any, optimizer: optax.GradientTransformation, *, plain: bool = False
) -> Callable[..., tuple[Any, jax.Array]]:
    """Returns the step from (state, images, labels) to the next state and the loss.

    Args:
        net: the heads whose losses count, with their weights.
        model: the network.
        optimizer: the update.
        plain: whether flax's own layers take the place of ours.
    """

    def apply(variables, images):
        layers = linen.intercept_methods(plain_layers) if plain else contextlib.nullcontext()
        with linen.intercept_methods(without_dropout), layers:
            return _outputs(net, model, variables, images)

    def step(state, images, labels):
        params, collections, momentum = state

        def loss(params):
            outputs, updated = apply({"params": params, **collections}, images)
            losses = optax.softmax_cross_entropy_with_integer_labels
            total = sum(
                weight * losses(logits.astype(jnp.float32), labels).mean()
                for logits, weight in outputs
            )
            return total, updated

        (value, updated), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, momentum = optimizer.update(gradients, momentum, params)
        return (optax.apply_updates(params, updates), {**collections, **updated}, momentum), value

    return step


def _outputs(net: WholeNet, model: Any, variables: Any, images: jax.Array) -> tuple[list, Any]:
    """Returns pairs of logits and the weight of their loss, and the updated collections."""
    mutable = ["batch_stats"] if "batch_stats" in variables else []
    (logits, features), updated = models.apply_with_features(
        model, variables, images, train=True, rngs={"dropout": jax.random.key(0)}, mutable=mutable
    )
    heads = [(features[name], weight) for name, weight in net.auxiliary.items()]
    return [(logits, 1.0), *heads], updated
