"""Random changes of training images, as pure functions under keys, and one-line policies of them.

A policy is written as the calls it makes, in order: `"shift(2)"`. Every image has a key of its own,
so that what happens to it depends neither on the batch nor on the device it is in.
"""

import ast
import difflib
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

Image = Float[Array, "height width channels"]
Augmentation = Callable[[Key[Array, ""], Image], Image]


def shift(pixels: int) -> Augmentation:
    """Moves the image by up to `pixels` in each direction, zeros entering at the edges.

    LeCun et al. 1998, section III.C, trains with such translations among its distortions.

    Raises:
        ValueError: `pixels` is negative.
    """
    if pixels < 0:
        raise ValueError(f"shift: pixels is {pixels}; give 0 or more")

    def apply(key: Key[Array, ""], image: Image) -> Image:
        top, left = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
        padded = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)))
        return jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)

    return apply


_AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {"shift": shift}


def parse_policy(policy: str) -> Augmentation:
    """Turns a policy such as `"shift(2)"` into one augmentation; "" changes nothing.

    Several calls are separated by commas and made from left to right.

    Raises:
        ValueError: the text is not such a list, or a name or argument in it is unknown.
    """
    try:
        calls = ast.parse(f"[{policy}]", mode="eval").body
        if not isinstance(calls, ast.List):
            raise SyntaxError
    except SyntaxError:
        raise ValueError(
            f'augmentation: {policy!r} is not a list of calls; write e.g. "shift(2)"'
        ) from None
    return chain([_parse_call(call, policy) for call in calls.elts])


def _parse_call(call: ast.expr, policy: str) -> Augmentation:
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise ValueError(
            f"augmentation: {ast.unparse(call)!r} in {policy!r} is not a call; "
            'write e.g. "shift(2)"'
        )
    name = call.func.id
    if name not in _AUGMENTATIONS:
        nearest = difflib.get_close_matches(name, _AUGMENTATIONS, n=1)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        raise ValueError(
            f"augmentation: {name!r} is unknown; {hint}known: {', '.join(sorted(_AUGMENTATIONS))}"
        )
    make = _AUGMENTATIONS[name]
    try:
        positional = [ast.literal_eval(value) for value in call.args]
        named = {keyword.arg or "**": ast.literal_eval(keyword.value) for keyword in call.keywords}
        inspect.signature(make).bind(*positional, **named)
        return make(*positional, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"augmentation: {ast.unparse(call)!r} cannot be made: {error}; "
            f"its form is {name}{inspect.signature(make)}"
        ) from None


def chain(augmentations: list[Augmentation]) -> Augmentation:
    """Joins augmentations into one that applies them from left to right, each under its own key."""

    def apply(key: Key[Array, ""], image: Image) -> Image:
        for position, augmentation in enumerate(augmentations):
            image = augmentation(jax.random.fold_in(key, position), image)
        return image

    return apply


def augment_batch(
    augmentation: Augmentation,
    key: Key[Array, ""],
    images: Float[Array, "batch height width channels"],
    examples: Int[Array, " batch"],
) -> Float[Array, "batch height width channels"]:
    """Augments each image under a key folded from `key` and its position in the dataset.

    Args:
        augmentation: what is done to one image.
        key: a key of this epoch.
        images: float images [batch, height, width, channels].
        examples: each image's position in the training split, int [batch].
    """
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, examples)
    return jax.vmap(augmentation)(keys, images)
