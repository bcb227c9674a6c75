"""The image that a network finds most like a class."""

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
) -> tuple[Float[Array, "batch height width channels"], Float[Array, "steps batch"]]:
    """Climbs the score of a class less `decay` times the image's squared length.

    Args:
        model: any Flax module that returns logits [batch, classes].
        variables: its variables.
        start: where to begin, network inputs: zeros in the source.
        classes: the class of each image.
        steps: number of steps.
        learning_rate: length of a step; each follows the gradient divided by its root mean square.
        decay: weight of the squared length (the source's lambda).
        blur: standard deviation in pixels of a Gaussian that smooths each step's gradient, which
            makes forms rather than grain; 0 for none, as in the source.
        shift: each step sees the image moved by up to this many pixels, so that no one place is
            favored; needs `key`.
        key: randomness of the shifts.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The images, and each step's score of the class.

    Raises:
        ValueError: a shift without a key, or no steps; or as in `attribution.saliency`.

    Source: Simonyan, Vedaldi and Zisserman, 2014, section 2, equation 1; of the blur, Yosinski et
    al., 2015, section 3.
    """
    if steps < 1:
        raise ValueError(f"class_images: steps {steps} is below 1")
    if shift and key is None:
        raise ValueError(f"class_images: shift {shift} needs a key; give key=jax.random.key(0)")
    arguments = evaluation_arguments(model, apply_arguments)
    start = image_batch(start, "class_images")
    chosen = class_of_each(start, classes, "class_images")

    def climb(variables: Any, images: Array, step: Array) -> tuple[Array, Array]:
        moves = jnp.zeros((2,), jnp.int32)
        if key is not None:
            moves = jax.random.randint(jax.random.fold_in(key, step), (2,), -shift, shift + 1)

        def objective(images: Array) -> tuple[Array, Array]:
            seen = jnp.roll(images, moves, axis=(1, 2))
            logits: Any = model.apply(variables, seen, **arguments)
            scores = class_scores(logits, chosen)
            return (scores - decay * (images**2).sum(axis=(1, 2, 3))).sum(), scores

        gradient, scores = jax.grad(objective, has_aux=True)(images)
        if blur:
            gradient = gaussian_blur(gradient, blur)
        size = jnp.sqrt((gradient**2).mean(axis=(1, 2, 3), keepdims=True))
        return images + learning_rate * gradient / jnp.maximum(size, 1e-12), scores

    @compiler.jit
    def run(variables: Any, start: Array) -> tuple[Array, Array]:
        return jax.lax.scan(partial(climb, variables), start, jnp.arange(steps))

    return run(variables, start)
