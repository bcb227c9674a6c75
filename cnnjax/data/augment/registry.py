"""Augmentations by name: those of cnnjax, and those that users register."""

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from cnnjax.data.augment.color import Autocontrast, ColorJitter, PcaColor
from cnnjax.data.augment.erase import Cutout, RandomErasing
from cnnjax.data.augment.geometry import Affine, Crop, Flip, ResizedCrop, Shift
from cnnjax.data.augment.mix import Mix, Mixup
from cnnjax.data.augment.transform import Augmentation
from cnnjax.nearest import did_you_mean

Maker = Callable[..., Augmentation | Mix]
"""From the arguments in the policy language to an augmentation."""

_Made = TypeVar("_Made", bound=Maker)

_MAKERS: dict[str, Maker] = {}


def register_augmentation(name: str) -> Callable[[_Made], _Made]:
    """Returns a decorator under which a function joins the policy language by its name.

    Args:
        name: what a policy calls.

    Returns:
        A decorator of a maker: a function from the call's arguments to an augmentation, a function
        (key, example) -> example.

    Raises:
        ValueError: the name is taken, or not one that can be called.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(
            f"augmentation: {name!r} cannot be called in a policy; give letters, digits and _"
        )
    if name in _MAKERS:
        raise ValueError(f"augmentation: the name {name!r} is taken; choose another")

    def enter(maker: _Made) -> _Made:
        _MAKERS[name] = maker
        return maker

    return enter


def find_maker(name: str) -> Maker:
    """Returns the maker of a registered name, or of a path such as "my_package.module:invert".

    Raises:
        ValueError: there is none.
    """
    if ":" in name:
        return _import_maker(name)
    if name not in _MAKERS:
        hint = did_you_mean(name, _MAKERS, count=1, likeness=0.6)
        raise ValueError(
            f"augmentation: {name!r} is unknown; {hint}known: {', '.join(sorted(_MAKERS))}"
        )
    return _MAKERS[name]


def _import_maker(path: str) -> Maker:
    module_name, _, attributes = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"augmentation: {path!r} cannot be imported: {error}; the folder that holds "
            f"{module_name} must be the current one, or on PYTHONPATH"
        ) from error
    return found


for _maker in (
    *(Affine, Autocontrast, ColorJitter, Crop, Cutout, Flip),
    *(Mixup, PcaColor, RandomErasing, ResizedCrop, Shift),
):
    register_augmentation(_maker.name)(_maker)
