"""How a run is dispatched: as two programs, or step by step; both compute the same.

An accelerator runs the training, and then the evaluation, as one program each, so that it never
waits for the host. XLA's CPU backend runs convolutions inside loops by far slower than outside, so
that there each step is a program.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import ops
from experiments.speedrun.run import Run
from experiments.speedrun.views import TestChunks

Dispatch = Literal["auto", "whole", "step"]
Key = Any
Variables = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Programs:
    """The compiled programs of a run, with the data they work on.

    Attributes:
        train: from a key to the trained variables and the loss of each step.
        evaluate: from variables to how many test images are right, as they are and with the
            recipe's views.
        compile_seconds: time that compiling took.
    """

    train: Callable[[Key], tuple[Variables, Float[Array, " steps"]]]
    evaluate: Callable[[Variables], tuple[Array, Array]]
    compile_seconds: float


def make_programs(
    run: Run, images: np.ndarray, labels: np.ndarray, chunks: TestChunks, dispatch: Dispatch
) -> Programs:
    """Puts the data on the device and compiles.

    Args:
        run: the run to compile.
        images: the training images, uint8, NHWC.
        labels: their labels.
        chunks: the test images.
        dispatch: "whole" for one program each, "step" for one a step; "auto" chooses the first
            except on CPU.

    Returns:
        The compiled programs.
    """
    if dispatch == "auto":
        dispatch = "step" if jax.default_backend() == "cpu" else "whole"
    data, chunks = jax.block_until_ready(((jnp.asarray(images), jnp.asarray(labels)), chunks))
    start = time.perf_counter()
    train, evaluate = {"whole": _whole, "step": _by_step}[dispatch](run, data, chunks)
    return Programs(train, evaluate, time.perf_counter() - start)


def _whole(run: Run, data: tuple[Array, Array], chunks: TestChunks) -> tuple[Callable, Callable]:
    key = jax.random.key(0)
    # Shapes alone: compiling the evaluation needs no trained variables.
    trained = jax.eval_shape(run.train, key, *data)[0]
    train = _compile(run.train, key, *data)
    evaluate = _compile(run.evaluate, trained, chunks)
    return lambda key: train(key, *data), lambda variables: evaluate(variables, chunks)


def _by_step(run: Run, data: tuple[Array, Array], chunks: TestChunks) -> tuple[Callable, Callable]:
    images, labels = data
    key = jax.random.key(0)
    start = _compile(run.start, key, images)
    state, given, padded = jax.eval_shape(run.start, key, images)
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), given)
    step = {
        train_whitening: _compile(
            lambda *arguments, on=train_whitening: run.step(*arguments, train_whitening=on),
            *(state, one, padded, labels),
            # The old state's memory is the new one's.
            donate_argnums=0,
        )
        for train_whitening, _ in run.phases
    }
    chunk = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), chunks)
    evaluate_chunk = _compile(run.evaluate_chunk, state.variables, chunk)

    def train(key: Key) -> tuple[Variables, Array]:
        state, given, padded = start(key, images)
        losses = []
        for train_whitening, part in run.phases:
            for number in range(part.start, part.stop):
                inputs = jax.tree.map(lambda a, number=number: a[number], given)
                state, loss = step[train_whitening](state, inputs, padded, labels)
                # Not read here, which would wait for the step.
                losses.append(loss)
        return state.variables, jnp.stack(losses)

    def evaluate(variables: Variables) -> tuple[Array, Array]:
        counts = [
            evaluate_chunk(variables, TestChunks(images, labels))
            for images, labels in zip(chunks.images, chunks.labels, strict=True)
        ]
        plain, mean = zip(*counts, strict=True)
        return jnp.stack(plain).sum(), jnp.stack(mean).sum()

    return train, evaluate


def _compile(function: Callable, *arguments: Any, donate_argnums: Any = ()) -> Any:
    jitted = jax.jit(
        function, donate_argnums=donate_argnums, compiler_options=ops.compiler_options()
    )
    return jitted.lower(*arguments).compile()
