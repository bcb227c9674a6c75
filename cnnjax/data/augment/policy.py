"""One-line policies of random changes of training images, such as "crop(4), flip, mixup(0.2)".

A policy is written as the calls it makes, in order; a bare name is a call without arguments. Every
image has a key of its own, so that what happens to it depends neither on the batch nor on the
device it is in.
"""

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, Int, Key

from cnnjax.data.augment.color import autocontrast, color_jitter, pca_color
from cnnjax.data.augment.erase import cutout, random_erasing
from cnnjax.data.augment.geometry import affine, crop, flip, resized_crop, shift
from cnnjax.data.augment.mix import Mixup
from cnnjax.data.augment.shared import Augmentation, Image, chain
from cnnjax.nearest import did_you_mean

_AUGMENTATIONS: dict[str, Callable[..., Augmentation | Mixup]] = {
    "affine": affine,
    "autocontrast": autocontrast,
    "color_jitter": color_jitter,
    "crop": crop,
    "cutout": cutout,
    "flip": flip,
    "mixup": Mixup,
    "pca_color": pca_color,
    "random_erasing": random_erasing,
    "resized_crop": resized_crop,
    "shift": shift,
}

_EXAMPLE = '"crop(4), flip"'


@dataclass(frozen=True)
class Policy:
    """What is done to training images: to each one, and then to them together.

    Calling it augments one image.

    Attributes:
        steps: augmentations of one image, in order.
        mixup: how images are mixed afterwards; None if they are not.
    """

    steps: tuple[Augmentation, ...]
    mixup: Mixup | None = None

    def __call__(self, key: Key[Array, ""], image: Image) -> Image:
        """Augments one image, with pixels from 0 to 1, under a key of its own."""
        return chain(list(self.steps))(key, image)

    def mix(
        self,
        key: Key[Array, ""],
        batch: Mapping[str, Array],
        examples: Int[Array, " batch"],
        num_classes: int,
        axis_name: str | None = None,
    ) -> dict[str, Array]:
        """Mixes the images of a batch where the policy says so; returns it as it is elsewhere.

        Args:
            key: a key of this epoch, as for `augment_batch`.
            batch: see `Mixup`.
            examples: each image's position in the training split.
            num_classes: number of labels.
            axis_name: see `Mixup`.
        """
        if self.mixup is None:
            return dict(batch)
        # What comes after the steps draws under the number that follows theirs.
        keys = jax.vmap(lambda key: jax.random.fold_in(key, len(self.steps)))(
            _example_keys(key, examples)
        )
        return self.mixup(keys, batch, num_classes, axis_name)


def parse_policy(policy: str) -> Policy:
    """Turns a policy such as `"crop(4), flip"` into augmentations; "" changes nothing.

    The calls are made from left to right; mixup comes last, since it takes whole batches.

    Raises:
        ValueError: the text is not such a list, or a name or argument in it is unknown.
    """
    try:
        calls = ast.parse(f"[{policy}]", mode="eval").body
        if not isinstance(calls, ast.List):
            raise SyntaxError
    except SyntaxError:
        raise ValueError(
            f"augmentation: {policy!r} is not a list of calls; write e.g. {_EXAMPLE}"
        ) from None
    made = [_parse_call(call, policy) for call in calls.elts]
    steps = tuple(step for step in made if not isinstance(step, Mixup))
    mixups = [step for step in made if isinstance(step, Mixup)]
    if mixups and made[-1:] != mixups:
        raise ValueError(
            f"augmentation: mixup takes whole batches, and comes once and last; {policy!r} has it "
            "elsewhere too"
        )
    return Policy(steps, mixups[0] if mixups else None)


def _parse_call(call: ast.expr, policy: str) -> Augmentation | Mixup:
    if isinstance(call, ast.Name):
        call = ast.Call(call, [], [])
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise ValueError(
            f"augmentation: {ast.unparse(call)!r} in {policy!r} is not a call; "
            f"write e.g. {_EXAMPLE}"
        )
    name = call.func.id
    if name not in _AUGMENTATIONS:
        hint = did_you_mean(name, _AUGMENTATIONS, count=1, likeness=0.6)
        raise ValueError(
            f"augmentation: {name!r} is unknown; {hint}known: {', '.join(sorted(_AUGMENTATIONS))}"
        )
    make = _AUGMENTATIONS[name]
    form = inspect.signature(make).replace(return_annotation=inspect.Signature.empty)
    try:
        positional = [ast.literal_eval(value) for value in call.args]
        named = {keyword.arg or "**": ast.literal_eval(keyword.value) for keyword in call.keywords}
        form.bind(*positional, **named)
        return make(*positional, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"augmentation: {ast.unparse(call)!r} cannot be made: {error}; its form is {name}{form}"
        ) from None


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
    return jax.vmap(augmentation)(_example_keys(key, examples), images)


def _example_keys(key: Key[Array, ""], examples: Int[Array, " batch"]) -> Key[Array, " batch"]:
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, examples)
