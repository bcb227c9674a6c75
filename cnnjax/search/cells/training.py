"""Quick training of a small network with several seeds at once, in one compiled program."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from cnnjax import nn
from cnnjax.search.errors import SearchError

Labeled = tuple[np.ndarray, np.ndarray]
"""Images, float32 [examples, height, width, channels], and labels, int32 [examples]."""


class Sets(NamedTuple):
    """Three sets of examples, each images and labels.

    Attributes:
        train: to train on while cells are compared.
        validation: to compare cells by.
        test: to test the chosen cell with, once.
    """

    train: Labeled
    validation: Labeled
    test: Labeled


@dataclass(frozen=True)
class QuickTraining:
    """How a network is trained: Adam with a cosine schedule, on images as they are.

    Attributes:
        epochs: passes through the training examples; the last, incomplete batch is left out.
        batch_size: examples of a step.
        learning_rate: the first one; it falls to 0 along a cosine.
        weight_decay: of AdamW.

    Raises:
        SearchError: a number is out of its range.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.01
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Refuses numbers out of range."""
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SearchError(f"training.{name}: {value!r} was given; give 1 or more")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise SearchError(
                f"training: learning_rate={self.learning_rate!r} and weight_decay="
                f"{self.weight_decay!r} were given; give a rate above 0 and a decay from 0"
            )

    def steps(self, examples: int) -> int:
        """Returns the number of steps of a training.

        Args:
            examples: number of training examples.
        """
        return self.epochs * max(1, examples // self.batch_size)


def train_quickly(
    model: linen.Module,
    train: Labeled,
    measured: Mapping[str, Labeled],
    seeds: Sequence[int],
    training: QuickTraining = QuickTraining(),
) -> dict[str, list[int]]:
    """Returns how many images a network classifies correctly after its training.

    All seeds are trained in one program, side by side (`jax.vmap`). A seed draws the first weights
    and the order of the examples.

    Args:
        model: any Linen classifier that takes `train`.
        train: the examples to train on.
        measured: the sets to count on, by name.
        seeds: one for each network.
        training: how they are trained.

    Returns:
        For each set the number of its images that are classified correctly, one for each seed.
    """
    images, labels = train
    # As one vector: Adam's updates of each parameter by itself took a fifth of the compilation.
    optimizer = optax.flatten(
        optax.adamw(
            optax.cosine_decay_schedule(training.learning_rate, training.steps(len(images))),
            weight_decay=training.weight_decay,
        )
    )
    # One by one and not compiled as a whole: drawing all parameters took 14 s to compile, and
    # without that each layer's program is compiled once for all networks (jaxlib 0.11.2, CPU).
    states = [_start(model, optimizer, images[:1], seed) for seed in seeds]
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    step = jax.jit(jax.vmap(_step(model, optimizer)), donate_argnums=0)
    # The steps are no loop within the program: there, XLA's CPU compiler takes a convolution that
    # is five times as slow (8x8 maps of 8 channels, jaxlib 0.11.2).
    for positions in _batches(len(images), seeds, training):
        state = step(state, images[positions], labels[positions])
    return _count_correct(model, state[0], measured)


def _start(model: linen.Module, optimizer: Any, images: np.ndarray, seed: int) -> tuple[Any, Any]:
    """Returns the variables and the optimizer's state before the first step."""
    variables = model.init(jax.random.key(seed), jnp.asarray(images))
    return variables, optimizer.init(variables["params"])


def _batches(
    examples: int, seeds: Sequence[int], training: QuickTraining
) -> Iterator[Int[np.ndarray, "seeds batch"]]:
    """Returns the positions of each step's examples; each seed has its own order in every epoch."""
    size = min(training.batch_size, examples)
    for epoch in range(training.epochs):
        orders = np.stack(
            [np.random.default_rng((seed, epoch)).permutation(examples) for seed in seeds]
        )
        for first in range(0, examples - size + 1, size):
            yield orders[:, first : first + size]


def _step(model: linen.Module, optimizer: Any) -> Any:
    """Returns a training step: state, images and labels in, the next state out."""

    def loss_of(params: Any, rest: Any, x: Array, y: Array) -> tuple[Array, Any]:
        logits, updates = model.apply(
            {**rest, "params": params}, x, train=True, mutable=["batch_stats"]
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), updates

    def step(state: tuple[Any, Any], x: Array, y: Array) -> tuple[Any, Any]:
        variables, memory = state
        params = variables["params"]
        rest = {name: part for name, part in variables.items() if name != "params"}
        grads, updates = jax.grad(loss_of, has_aux=True)(params, rest, x, y)
        # Adam raises a float to the power of its count.
        with jax.numpy_dtype_promotion("standard"):
            changes, memory = optimizer.update(grads, memory, params)
        params = optax.apply_updates(params, changes)
        return {**rest, **updates, "params": params}, memory

    return step


def _count_correct(
    model: linen.Module, variables: Any, measured: Mapping[str, Labeled]
) -> dict[str, list[int]]:
    """Returns the correct images of each set, for each of several networks."""
    arguments = nn.mode_arguments(model, train=False)

    def classes(variables: Any, images: Array) -> Int[Array, " examples"]:
        logits: Any = model.apply(variables, images, **arguments)
        return jnp.argmax(logits, axis=-1)

    # All sets in one batch, so that one program is compiled.
    images = np.concatenate([images for images, _ in measured.values()])
    found = np.asarray(jax.jit(jax.vmap(classes, in_axes=(0, None)))(variables, images))
    counts: dict[str, list[int]] = {}
    for name, (_, labels) in measured.items():
        own, found = found[:, : len(labels)], found[:, len(labels) :]
        counts[name] = (own == labels).sum(axis=1).tolist()
    return counts
