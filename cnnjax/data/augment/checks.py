"""Checks of the arguments that several augmentations share."""

import numpy as np

MOST_PIXELS = 2**16
"""The largest size in pixels: more than the side of an image, and few enough for int32."""


def check_pixels(name: str, what: str, pixels: int, least: int) -> None:
    """Raises an error unless a size is a whole number of pixels within its limits.

    Args:
        name: name of the augmentation, for the message.
        what: name of the argument, for the message.
        pixels: the size.
        least: the smallest allowed size.

    Raises:
        ValueError: it is no whole number, too small or too large.
    """
    whole = isinstance(pixels, int | np.integer) and not isinstance(pixels, bool)
    if not whole or not least <= pixels <= MOST_PIXELS:
        raise ValueError(
            f"{name}: {what} is {pixels!r}; give a whole number from {least} to {MOST_PIXELS}"
        )


def check_probability(name: str, probability: float) -> None:
    """Raises an error unless a probability is between 0 and 1.

    Args:
        name: name of the augmentation, for the message.
        probability: the probability.

    Raises:
        ValueError: it is below 0 or above 1.
    """
    # Written with `not`, so that NaN is refused too.
    if not 0 <= probability <= 1:
        raise ValueError(f"{name}: probability is {probability}; give 0 to 1")


def check_range(name: str, what: str, bounds: tuple[float, float], low: float, high: float) -> None:
    """Raises an error unless bounds are two rising numbers above `low` and up to `high`.

    Args:
        name: name of the augmentation, for the message.
        what: name of the argument, for the message.
        bounds: the two numbers.
        low: what both must exceed.
        high: what neither may exceed; infinity for no limit.

    Raises:
        ValueError: they are not.
    """
    if len(bounds) != 2 or not low < bounds[0] <= bounds[1] <= high:
        raise ValueError(
            f"{name}: {what} is {bounds}; give two rising numbers above {low}"
            + ("" if high == np.inf else f" and up to {high}")
        )
