"""One training step of a network, in the ways that the benchmark compares."""

from __future__ import annotations

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
from cnnjax.ops.compiler import compiler_options
from scripts.benchmarks.baselines import PLAIN_OPTION
from scripts.benchmarks.plain_flax import plain_layers, without_dropout
from scripts.benchmarks.whole_nets import WholeNet

LEARNING_RATE, MOMENTUM = 0.001, 0.9
COLUMNS = ("ours", "native", "native, option", "flax", "torch")


@dataclasses.dataclass
class Contestant:
    """A way to do a step; each holds a state of its own and moves it.

    Attributes:
      step: does a step, waits for it, and returns the loss before the update.
      temp_mb: the program's peak temporary memory, where the compiler tells.
      compile_seconds: time to compile the step.
      program: the compiled program, where there is one.
    """

    step: Callable[[], float]
    temp_mb: float | None = None
    compile_seconds: float | None = None
    program: jax.stages.Compiled | None = None


def contestants(net: WholeNet, with_torch: bool, wanted: tuple[str, ...]) -> dict[str, Contestant]:
    """Returns the ways to train a network, all from the same weights on the same batch."""
    options = dict(net.overrides)
    model = models.create_model(net.model, **options)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((net.batch, *net.image)).astype(np.float32)
    labels = rng.integers(0, model.num_classes, net.batch).astype(np.int32)
    variables = jax.jit(model.init)(jax.random.key(0), images[:1])
    ours, native = model, model.clone(backward="native")
    ways: dict[str, tuple[Any, dict[str, Any], bool]] = {
        "ours": (ours, compiler_options(), False),
        "native": (native, {}, False),
        "native, option": (native, PLAIN_OPTION, False),
        "flax": (native, {}, True),
    }
    made = {
        name: _in_jax(net, way[0], variables, images, labels, way[1], plain=way[2])
        for name, way in ways.items()
        if name in wanted
    }
    if with_torch and "torch" in wanted:
        made["torch"] = _in_torch(net, model, variables, images, labels)
    return made


def _in_jax(
    net: WholeNet,
    model: Any,
    variables: Mapping[str, Any],
    images: np.ndarray,
    labels: np.ndarray,
    options: dict[str, Any],
    *,
    plain: bool,
) -> Contestant:
    optimizer = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)

    def apply(variables, images):
        with linen.intercept_methods(without_dropout):
            if not plain:
                return _outputs(net, model, variables, images)
            with linen.intercept_methods(plain_layers):
                return _outputs(net, model, variables, images)

    def step(state, images, labels):
        params, collections, momentum = state

        def loss(params):
            outputs, updated = apply({"params": params, **collections}, images)
            losses = optax.softmax_cross_entropy_with_integer_labels
            total = sum(weight * losses(logits, labels).mean() for logits, weight in outputs)
            return total, updated

        (value, updated), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, momentum = optimizer.update(gradients, momentum, params)
        return (optax.apply_updates(params, updates), {**collections, **updated}, momentum), value

    # Each contestant gives its buffers to its steps.
    own = jax.tree.map(jnp.array, dict(variables))
    params = own.pop("params")
    state = params, own, optimizer.init(params)
    arrays = jnp.asarray(images), jnp.asarray(labels)
    lowered = jax.jit(step, donate_argnums=0, compiler_options=options).lower(state, *arrays)
    begun = time.perf_counter()
    program = lowered.compile()
    seconds = time.perf_counter() - begun
    analysis = program.memory_analysis()

    def run() -> float:
        nonlocal state
        state, value = program(state, *arrays)
        return float(jax.block_until_ready((state, value))[1])

    temp = analysis.temp_size_in_bytes / 1e6 if analysis else None
    return Contestant(run, temp, seconds, program)


def _outputs(net: WholeNet, model: Any, variables: Any, images: jax.Array) -> tuple[list, Any]:
    """Returns pairs of logits and the weight of their loss, and the updated collections."""
    mutable = ["batch_stats"] if "batch_stats" in variables else []
    (logits, features), updated = models.apply_with_features(
        model, variables, images, train=True, rngs={"dropout": jax.random.key(0)}, mutable=mutable
    )
    heads = [(features[name], weight) for name, weight in net.auxiliary.items()]
    return [(logits, 1.0), *heads], updated


def _in_torch(
    net: WholeNet,
    model: Any,
    variables: Mapping[str, Any],
    images: np.ndarray,
    labels: np.ndarray,
) -> Contestant:
    import torch  # pyright: ignore[reportMissingImports]

    from scripts.benchmarks.torch_nets import torch_net

    network = torch_net(net, model, variables)
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, momentum=MOMENTUM)
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    y = torch.from_numpy(labels).long()
    weights = [1.0, *net.auxiliary.values()]

    def run() -> float:
        optimizer.zero_grad(set_to_none=True)
        outputs = network(x)
        outputs = (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)
        losses = [torch.nn.functional.cross_entropy(logits, y) for logits in outputs]
        loss = torch.stack([w * v for w, v in zip(weights, losses, strict=True)]).sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    return Contestant(run)
