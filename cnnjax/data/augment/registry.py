"""Augmentations by name: those of cnnjax, and those of users."""

from collections.abc import Callable
from typing import TypeVar

from cnnjax.data.augment.color import Autocontrast, ColorJitter, PcaColor
from cnnjax.data.augment.erase import Cutout, RandomErasing
from cnnjax.data.augment.geometry import Affine, Crop, Flip, ResizedCrop, Shift
from cnnjax.data.augment.mix import Mix, Mixup
from cnnjax.data.augment.rand_augment import RandAugment
from cnnjax.data.augment.transform import Augmentation
from cnnjax.parts import Registry

Maker = Callable[..., Augmentation | Mix]
"""A function from the arguments in the policy language to an augmentation."""

_Made = TypeVar("_Made", bound=Maker)

AUGMENTATIONS: Registry[Maker] = Registry("augmentation", example="my_package.views:invert")
"""Makers of augmentations by name; a path such as `my_package.views:invert` is found too."""


def register_augmentation(name: str) -> Callable[[_Made], _Made]:
    """Returns a decorator that adds a function to the policy language.

    Args:
        name: its name in a policy.

    Returns:
        A decorator of a maker: a function from the call's arguments to an augmentation, a function
        (key, example) -> example.

    Raises:
        ValueError: the name is taken, or is not an identifier.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(
            f"augmentation: {name!r} cannot be called in a policy; give letters, digits and _"
        )
    return AUGMENTATIONS.register(name)


for _maker in (
    *(Affine, Autocontrast, ColorJitter, Crop, Cutout, Flip),
    *(Mixup, PcaColor, RandAugment, RandomErasing, ResizedCrop, Shift),
):
    AUGMENTATIONS.add(_maker.name, _maker)
