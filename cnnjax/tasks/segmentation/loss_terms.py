"""The text that names the loss of a segmentation: terms with weights, added up."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast, get_args

from cnnjax.nearest import did_you_mean

PixelLossName = Literal["cross_entropy", "dice", "focal"]

PIXEL_MEANS = ("cross_entropy", "focal")
"""Losses that are means over pixels; Dice is a mean over images."""


class LossTerm(NamedTuple):
    """One term of a loss.

    Attributes:
        name: which loss it is.
        weight: the factor of its value.
    """

    name: PixelLossName
    weight: float = 1.0


def parse_loss(text: str) -> tuple[LossTerm, ...]:
    """Returns the terms of a text such as `"cross_entropy + 0.5 * dice"`.

    Args:
        text: names of losses, added up, each with or without a factor before it.

    Raises:
        ValueError: a name is unknown or comes twice, or a factor is not above 0.
    """
    if not isinstance(text, str):
        raise ValueError(
            f"task.pixel_loss: {text!r} was given; give a text such as 'cross_entropy + dice', "
            "or a function of logits and masks"
        )
    terms = tuple(_term(part, text) for part in text.split("+"))
    names = [term.name for term in terms]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"task.pixel_loss: {text!r} has {name} twice; give it one factor")
    return terms


def _term(part: str, text: str) -> LossTerm:
    factor, star, name = part.rpartition("*")
    name = name.strip()
    known = get_args(PixelLossName)
    if name not in known:
        raise ValueError(
            f"task.pixel_loss: {name!r} of {text!r} is unknown; {did_you_mean(name, known)}"
            f"known: {', '.join(known)}, and sums of them such as 'cross_entropy + 0.5 * dice'"
        )
    try:
        weight = float(factor) if star else 1.0
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise ValueError(
            f"task.pixel_loss: {factor.strip()!r} in {text!r} is no factor; give a number above "
            "0, such as '0.5 * dice'"
        )
    return LossTerm(cast(PixelLossName, name), weight)


def check_settings(
    classes: int,
    class_weights: Sequence[float],
    ignore_label: int,
    focal_gamma: float,
    auxiliary_weight: float,
) -> None:
    """Refuses settings of a segmentation that are out of range.

    Args:
        classes: number of classes.
        class_weights: the weight of each class; empty for equal ones.
        ignore_label: the label that does not count.
        focal_gamma: exponent of the focal loss.
        auxiliary_weight: weight of the loss of each auxiliary head.

    Raises:
        ValueError: the message names the setting of the task.
    """
    if not 2 <= classes <= 255:
        raise ValueError(
            f"task.class_names: {classes} names were given; masks of 8 bits have 2 to 255 classes "
            "(of a dataset, mask_names names them)"
        )
    if class_weights and (
        len(class_weights) != classes
        or min(class_weights) < 0
        or not 0 < sum(class_weights) < math.inf
    ):
        raise ValueError(
            f"task.class_weights: {tuple(class_weights)} was given for {classes} classes; give one "
            "number for each, 0 or more, not all 0"
        )
    if not 0 <= ignore_label <= 255:
        raise ValueError(f"task.ignore_label: {ignore_label} was given; give 0 to 255")
    if focal_gamma < 0:
        raise ValueError(f"task.focal_gamma: {focal_gamma} was given; give 0 or more")
    if auxiliary_weight < 0:
        raise ValueError(f"task.auxiliary_weight: {auxiliary_weight} was given; give 0 or more")
