"""Known names near one that is not known, for messages that suggest a fix."""

import difflib
from collections.abc import Iterable


def nearest_names(
    name: str, known: Iterable[str], *, count: int = 3, likeness: float = 0.4
) -> list[str]:
    """Returns the known names most like `name`, the nearest first.

    Args:
        name: what was given.
        known: what could have been meant.
        count: the most names to return.
        likeness: the least that counts, from 0 for any name to 1 for `name` itself.
    """
    return difflib.get_close_matches(name, list(known), n=count, cutoff=likeness)


def did_you_mean(name: str, known: Iterable[str], *, count: int = 3, likeness: float = 0.4) -> str:
    """Returns the question "did you mean a or b? " with its last space; "" if nothing is near.

    Args:
        name: what was given.
        known: what could have been meant.
        count: the most names to suggest.
        likeness: see `nearest_names`.
    """
    nearest = nearest_names(name, known, count=count, likeness=likeness)
    return f"did you mean {' or '.join(nearest)}? " if nearest else ""
