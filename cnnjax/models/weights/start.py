"""Variables that start from another network's: step two of transfer learning."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnjax.models.weights.given import ArrayPath, GivenArrays
from cnnjax.models.weights.mismatch import WeightsError
from cnnjax.models.weights.tables import leaves
from cnnjax.nearest import nearest_names

_SHOWN = 5
"""How many arrays a message names."""


@dataclass(frozen=True)
class Started:
    """Variables to start from, and where each array comes from.

    Attributes:
        variables: the network's, float32.
        loaded: paths of the arrays that were given.
        adapted: path of the first kernel, where it was given for another number of channels.
        fresh: paths of the arrays that keep their initialization.
        skipped: names of given arrays that the network has no place for.
    """

    variables: dict[str, Any]
    loaded: tuple[str, ...]
    adapted: tuple[str, ...]
    fresh: tuple[str, ...]
    skipped: tuple[str, ...]

    def describe(self) -> dict[str, list[str]]:
        """Returns the paths as JSON values, by what was done with them."""
        names = ("loaded", "adapted", "fresh", "skipped")
        return {name: list(getattr(self, name)) for name in names}


def start_from(
    variables: Mapping[str, Any],
    given: GivenArrays,
    *,
    classifiers: Sequence[str] = (),
    fresh: Sequence[str] = (),
    image_channels: int | None = None,
) -> Started:
    """Returns a network's variables with the given arrays in place of its own.

    An array of a classifier is fresh where its shape differs or it is not given, since another task
    has other classes. The kernel of the first layer is adapted to another number of input channels:
    with fewer channels than before the kernel is summed over groups of them, with more it is
    repeated and divided by the number of repetitions, so that gray images written as color give the
    same features. Every other array must be given in its shape, or match a pattern of `fresh`.

    Args:
        variables: the network's own initialization, whose arrays stay where they are fresh.
        given: the arrays to start from.
        classifiers: paths of the classifiers, such as `Net.classifiers` names them.
        fresh: regular expressions over paths without their collection, such as "stage4.*"; what a
            whole path matches keeps its initialization.
        image_channels: number of channels of the images; None adapts no kernel.

    Raises:
        WeightsError: an array is not given, or has another shape.
        ValueError: a pattern is no regular expression, or matches no array.
    """
    slots = leaves(variables)
    renewed = _matching(fresh, slots)
    heads = {path for path in slots if _inside(path, classifiers)}
    chosen: dict[ArrayPath, np.ndarray] = {}
    adapted, problems = [], []
    for path, leaf in slots.items():
        array = given.arrays.get(path)
        if path in renewed or (path in heads and (array is None or array.shape != leaf.shape)):
            continue
        if array is None:
            problems.append(f"missing: {_label(path)}{_nearest(path, given, slots)}")
        elif array.shape == leaf.shape:
            chosen[path] = array
        elif not adapted and _sees_the_image(array.shape, leaf.shape, image_channels):
            chosen[path] = _with_channels(array, leaf.shape[2])
            adapted.append(path)
        else:
            problems.append(f"shape of {_label(path)}: {array.shape} given, {leaf.shape} needed")
    if problems:
        raise _misfit(given, problems)
    if not chosen:
        raise WeightsError(f"{given.origin}: nothing is left to load; every array is fresh")
    rest = [path for path in slots if path not in chosen]
    skipped = [_label(path) for path in given.arrays if path not in chosen]
    return Started(
        _tree(slots, chosen),
        loaded=tuple(_label(path) for path in chosen if path not in adapted),
        adapted=tuple(_label(path) for path in adapted),
        fresh=tuple(_label(path) for path in rest),
        skipped=(*skipped, *given.unused),
    )


def start_part_from(
    variables: Mapping[str, Any],
    part: str,
    given: GivenArrays,
    *,
    fresh: Sequence[str] = (),
    image_channels: int | None = None,
) -> Started:
    """Returns a network's variables with the given arrays in place of those of one part.

    Args:
        variables: the network's own initialization; all but the part stays fresh.
        part: name of the part among the parameters, such as "encoder".
        given: the arrays of the part's network, or of a network that has this part too.
        fresh: see `start_from`; the paths are those within the part.
        image_channels: see `start_from`.

    Raises:
        WeightsError: an array of the part is not given, or has another shape.
        ValueError: a pattern is no regular expression, or matches no array; or the network has no
            such part.
    """
    inner = {name: tree[part] for name, tree in variables.items() if part in tree}
    if not inner:
        raise ValueError(
            f"the network has no part {part!r}; it has {', '.join(variables['params'])}"
        )
    within = {(p[0], *p[2:]): array for p, array in given.arrays.items() if p[1] == part}
    if within:
        given = replace(given, arrays=within)
    started = start_from(inner, given, fresh=fresh, image_channels=image_channels)
    outside = [path for path in leaves(variables) if path[1] != part]

    def prefixed(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{part}/{name}" for name in names)

    return Started(
        {
            name: {**tree, part: started.variables[name]} if part in tree else tree
            for name, tree in variables.items()
        },
        prefixed(started.loaded),
        prefixed(started.adapted),
        (*prefixed(started.fresh), *map(_label, outside)),
        started.skipped,
    )


def _label(path: ArrayPath) -> str:
    """Returns a path without its collection, as patterns match it."""
    return "/".join(path[1:])


def _inside(path: ArrayPath, layers: Sequence[str]) -> bool:
    return any(_label(path).startswith(f"{layer}/") for layer in layers)


def _matching(patterns: Sequence[str], slots: Mapping[ArrayPath, Any]) -> set[ArrayPath]:
    found: set[ArrayPath] = set()
    for text in patterns:
        try:
            pattern = re.compile(text)
        except re.error as error:
            raise ValueError(f"the pattern {text!r} is not a regular expression: {error}") from None
        matched = {path for path in slots if pattern.fullmatch(_label(path))}
        if not matched:
            names = ", ".join(dict.fromkeys(_label(path) for path in slots))
            raise ValueError(f"no parameter matches {text!r}; there are {names}")
        found |= matched
    return found


def _sees_the_image(given: tuple[int, ...], needed: tuple[int, ...], channels: int | None) -> bool:
    """Returns whether two kernels differ in their input channels alone, which are the image's."""
    alike = len(given) == 4 and (*given[:2], given[3]) == (*needed[:2], needed[3])
    return alike and needed[2] == channels


def _with_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Returns a kernel [height, width, channels, features] for another number of channels.

    Channel i of the new kernel stands for the old channels i, i + channels, ... or is one of
    several copies of channel i modulo the old number.
    """
    old = kernel.shape[2]
    if channels < old:
        parts = [kernel[:, :, start::channels].sum(axis=2) for start in range(channels)]
        return np.stack(parts, axis=2)
    places = np.arange(channels) % old
    copies = np.bincount(places, minlength=old)
    return kernel[:, :, places] / copies[places][:, None].astype(kernel.dtype)


def _nearest(path: ArrayPath, given: GivenArrays, slots: Mapping[ArrayPath, Any]) -> str:
    others = [_label(other) for other in given.arrays if other not in slots]
    found = nearest_names(_label(path), [*others, *given.unused], count=1, likeness=0.7)
    return f"; nearest: {found[0]}" if found else ""


def _misfit(given: GivenArrays, problems: Sequence[str]) -> WeightsError:
    more = len(problems) - _SHOWN
    lines = [*problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    return WeightsError(
        "\n  ".join(
            [
                f"{given.origin} ({given.source}) does not fit the network: {len(problems)} arrays",
                *lines,
                "give weights of the same network, or name the arrays that stay fresh",
            ]
        )
    )


def _tree(slots: Mapping[ArrayPath, Any], chosen: Mapping[ArrayPath, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, leaf in slots.items():
        branch = tree
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        branch[path[-1]] = chosen[path].astype(leaf.dtype) if path in chosen else leaf
    return tree
