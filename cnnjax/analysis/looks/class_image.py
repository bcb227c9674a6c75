"""The image with the highest score of a class."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from cnnjax import compiler
from cnnjax.analysis.calls import evaluation_arguments, image_batch
from cnnjax.analysis.looks.attribution import class_of_each, class_scores
from cnnjax.ops.filters import gaussian_blur


def class_images(
    model: linen.Module,
    variables: Any,
    start: Float[ArrayLike, "batch height width channels"],
    classes: Int[ArrayLike, "batch"],
    *,
    steps: int = 200,
    learning_rate: float = 1.0,
    decay: float = 0.01,
    blur: float = 0.0,
    shift: int = 0,
    key: Array | None = None,
    **apply_arguments: Any,
) -> tuple[Float[Array, "batch height width channels"], Float[Array, "{steps} batch"]]:
    """Climbs the score of a class minus `decay` times the image's squared length.

    Args:
        model: any Flax module that returns logits [batch, classes].
        variables: its variables.
        start: the first images, network inputs; zeros in the source.
        classes: the class of each image.
        steps: number of steps.
        learning_rate: length of a step; each follows the gradient divided by its root mean square.
        decay: weight of the squared length (the source's lambda).
        blur: standard deviation in pixels of a Gaussian that smooths each step's gradient, so that
            shapes appear rather than noise; 0 for none, as in the source.
        shift: in each step the image is moved by up to this many pixels, so that no single place is
            favored; needs `key`.
        key: randomness of the shifts.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The images, and each step's score of the class.

    Raises:
        ValueError: a shift below 0 or without a key, or no steps; or as in `attribution.saliency`.

    Source: Simonyan, Vedaldi and Zisserman, 2014, section 2, equation 1; Yosinski et al., 2015,
    section 3 (the blur).
    """
    _check_steps(steps, shift, key)
    arguments = evaluation_arguments(model, apply_arguments)
    start = image_batch(start, "class_images")
    chosen = class_of_each(start, classes, "class_images")

    def climb(variables: Any, images: Array, step: Array) -> tuple[Array, Array]:
        moves = _moves(key, step, shift)

        def scores(images: Array) -> Array:
            seen = jnp.roll(images, moves, axis=(1, 2))
            logits: Any = model.apply(variables, seen, **arguments)
            return class_scores(logits, chosen)

        return _climbed(images, scores, learning_rate, decay, blur)

    @compiler.jit
    def run(variables: Any, start: Array) -> tuple[Array, Array]:
        return jax.lax.scan(partial(climb, variables), start, jnp.arange(steps))

    return run(variables, start)


def _check_steps(steps: int, shift: int, key: Array | None) -> None:
    """Raises an error if the steps cannot be taken."""
    if steps < 1:
        raise ValueError(f"class_images: steps {steps} is below 1")
    if shift < 0:
        raise ValueError(f"class_images: shift {shift} is below 0")
    if shift and key is None:
        raise ValueError(f"class_images: shift {shift} needs a key; give key=jax.random.key(0)")


def _moves(key: Array | None, step: Array, shift: int) -> Int[Array, "2"]:
    """Returns the rows and columns by which a step moves the images."""
    if key is None:
        return jnp.zeros((2,), jnp.int32)
    # A key for each step is derived from its number, so that none is stored.
    return jax.random.randint(jax.random.fold_in(key, step), (2,), -shift, shift + 1)


def _climbed(
    images: Float[Array, "batch height width channels"],
    scores: Callable[[Array], Array],
    learning_rate: float,
    decay: float,
    blur: float,
) -> tuple[Float[Array, "batch height width channels"], Float[Array, "batch"]]:
    """Returns the images after one step, and the scores before it."""

    def objective(images: Array) -> tuple[Array, Array]:
        reached = scores(images)
        return (reached - decay * (images**2).sum(axis=(1, 2, 3))).sum(), reached

    gradient, reached = jax.grad(objective, has_aux=True)(images)
    if blur:
        gradient = gaussian_blur(gradient, blur)
    # Scaled, because the sizes of gradients differ by orders of magnitude between networks.
    size = jnp.sqrt((gradient**2).mean(axis=(1, 2, 3), keepdims=True))
    return images + learning_rate * gradient / jnp.maximum(size, 1e-12), reached
