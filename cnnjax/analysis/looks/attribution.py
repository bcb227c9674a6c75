"""Where a network looks: the pixels and places that a class's score depends on."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from cnnjax import compiler
from cnnjax.analysis.calls import apply_edited, evaluation_arguments, image_batch
from cnnjax.analysis.looks.activations import activation_shapes


def saliency(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    classes: Int[ArrayLike, "batch"],
    **apply_arguments: Any,
) -> Float[Array, "batch height width"]:
    """Returns how strongly a class's score changes with each pixel.

    Args:
        model: any Flax module that returns logits [batch, classes].
        variables: its variables.
        images: network inputs.
        classes: for each image, the class whose score is differentiated.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The largest absolute gradient over the channels.

    Raises:
        ValueError: the images or classes have another shape or dtype, or the network has no such
            class.

    Source: Simonyan, Vedaldi and Zisserman, 2014, section 3.1.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    images = image_batch(images, "saliency")
    chosen = class_of_each(images, classes, "saliency")

    def score(images: Array, variables: Any) -> Array:
        logits: Any = model.apply(variables, images, **arguments)
        # A score depends on its own image alone, so the sum's gradient holds each score's.
        return class_scores(logits, chosen).sum()

    gradient = compiler.jit(jax.grad(score))(images, variables)
    return jnp.abs(gradient).max(axis=-1)


def grad_cam(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    classes: Int[ArrayLike, "batch"],
    layer: str,
    **apply_arguments: Any,
) -> Float[Array, "batch rows columns"]:
    """Returns how much each place of a layer's maps raises a class's score.

    Args:
        model: any Flax module that returns logits [batch, classes].
        variables: its variables.
        images: network inputs.
        classes: for each image, the class whose score is differentiated.
        layer: a module call with maps, usually the last convolution or block, as `module_calls`
            names it.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The positive part of the sum of the layer's maps, each weighted with the mean gradient of
        the score by it: one value for each place of the layer. Enlarge it to the image's size.

    Raises:
        KeyError: there is no such layer; the message gives the nearest.
        ValueError: the layer's output is not a stack of maps; or as in `saliency`.

    Source: Selvaraju et al., 2017, equations 1 and 2.
    """
    images = image_batch(images, "grad_cam")
    chosen = class_of_each(images, classes, "grad_cam")
    shape = activation_shapes(model, variables, images, names=[layer], **apply_arguments)[layer]
    if len(shape.shape) != 4:
        raise ValueError(
            f"grad_cam: {layer!r} returns {shape.shape}; choose a layer with maps "
            "[batch, height, width, channels]"
        )

    def score(offset: Array, images: Array, variables: Any) -> tuple[Array, Array]:
        kept = []

        def edit(output: Array) -> Array:
            kept.append(output)
            return output + offset

        logits = apply_edited(model, variables, images, layer, edit, **apply_arguments)
        return class_scores(logits, chosen).sum(), kept[0]

    # Zeros added to the maps: the gradient by them is the gradient by the maps.
    start = jnp.zeros(shape.shape, shape.dtype)
    gradient, maps = compiler.jit(jax.grad(score, has_aux=True))(start, images, variables)
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    return jnp.maximum((maps * weights).sum(axis=-1), 0)


def occlusion_map(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    classes: Int[ArrayLike, "batch"],
    *,
    patch: int,
    stride: int = 1,
    fill: float = 0.0,
    **apply_arguments: Any,
) -> Float[Array, "batch rows columns"]:
    """Returns the probability of a class while a square hides a part of the image.

    Args:
        model: any Flax module that returns logits [batch, classes].
        variables: its variables.
        images: network inputs.
        classes: for each image, the class whose probability is returned.
        patch: side of the square in pixels.
        stride: pixels between the square's places.
        fill: value of the hidden pixels, on the scale of the network's input.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The probability for each place of the square: low where the hidden pixels matter for the
        class. Place (i, j) hides the pixels from row i * stride and column j * stride on.

    Raises:
        ValueError: the patch is larger than the image, or a size is below 1; or as in `saliency`.

    Source: Zeiler and Fergus, 2014, section 4.2.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    images = image_batch(images, "occlusion_map")
    chosen = class_of_each(images, classes, "occlusion_map")
    height, width = images.shape[1:3]
    if not 1 <= patch <= min(height, width) or stride < 1:
        raise ValueError(
            f"occlusion_map: patch {patch} and stride {stride} do not fit an image of "
            f"{height}x{width}; give a patch of 1 to {min(height, width)} and a stride of 1 or more"
        )
    tops = jnp.arange(0, height - patch + 1, stride)
    lefts = jnp.arange(0, width - patch + 1, stride)

    # A row of places at a time: all places of an image might not fit into memory.
    @compiler.jit
    def probabilities(variables: Any, image: Array, label: Array, top: Array) -> Array:
        batch = jax.vmap(lambda left: _hidden(image, top, left, patch, fill))(lefts)
        logits: Any = model.apply(variables, batch, **arguments)
        check_classes(logits, chosen)
        return jax.nn.softmax(logits)[:, label]

    return jnp.stack(
        [
            jnp.stack([probabilities(variables, image, label, top) for top in tops])
            for image, label in zip(images, chosen, strict=True)
        ]
    )


def _hidden(
    image: Float[Array, "height width channels"], top: Array, left: Array, patch: int, fill: float
) -> Float[Array, "height width channels"]:
    """Returns the image with a square of one value; its corner may be traced."""
    rows, columns = jnp.arange(image.shape[0]), jnp.arange(image.shape[1])
    inside = ((rows >= top) & (rows < top + patch))[:, None] & (
        (columns >= left) & (columns < left + patch)
    )[None]
    return jnp.where(inside[..., None], jnp.asarray(fill, image.dtype), image)


def class_of_each(images: ArrayLike, classes: ArrayLike, function: str) -> Int[Array, "batch"]:
    """Returns classes as an array.

    Args:
        images: the images.
        classes: the class of each, as the caller gave it.
        function: the caller's name, for the message.

    Raises:
        ValueError: there is not one whole number for each image.
    """
    array, count = jnp.asarray(classes), jnp.shape(images)[0]
    if array.shape != (count,) or not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(
            f"{function}: classes of shape {array.shape} and dtype {array.dtype} for {count} "
            "images; expected a whole number for each image"
        )
    return array


def class_scores(
    logits: Float[Array, "batch classes"], classes: Int[Array, "batch"]
) -> Float[Array, "batch"]:
    """Returns the logit of one class for each image.

    Args:
        logits: a network's output.
        classes: the class of each image.

    Raises:
        ValueError: as in `check_classes`.
    """
    check_classes(logits, classes)
    return jnp.take_along_axis(logits, classes[:, None], axis=1)[:, 0]


def check_classes(logits: Array, classes: Int[Array, "batch"]) -> None:
    """Raises an error if an output is not logits, or has no such class.

    Classes that are traced by `jax.jit` have no values yet, and are not checked.

    Args:
        logits: a network's output.
        classes: the class of each image.

    Raises:
        ValueError: the network's output is not [batch, classes], or has no such class.
    """
    if logits.ndim != 2:
        raise ValueError(f"the network returns {logits.shape}; expected logits [batch, classes]")
    if isinstance(classes, Tracer):
        return
    wrong = sorted({c for c in np.asarray(classes).tolist() if not 0 <= c < logits.shape[1]})
    if wrong:
        raise ValueError(
            f"classes: there is no class {wrong}; the network has {logits.shape[1]}, counted from 0"
        )
