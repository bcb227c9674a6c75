"""Numbers as a page shows them."""

import re
from typing import Any

from cnnjax.extras import installed_with
from cnnjax.tasks.sections import percent


def compact(value: float) -> str:
    """Returns a number with three significant digits, and a large one without decimals.

    Args:
        value: the number.
    """
    # From 999.5 on, three significant digits would be written as 1e+03.
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def within_a_sentence(title: str) -> str:
    """Returns a title as it is written within a sentence: "mean IoU" for "Mean IoU".

    Args:
        title: the title; its first word keeps its form where it is an abbreviation, as in "AP".
    """
    first = title.partition(" ")[0]
    return title if first[1:] != first[1:].lower() else title[:1].lower() + title[1:]


def metric_value(value: float, *, in_percent: bool) -> str:
    """Returns a metric in per cent, or with three significant digits.

    Args:
        value: the metric.
        in_percent: whether it is a share that is shown in per cent.
    """
    return percent(value) if in_percent else compact(value)


def duration(seconds: float) -> str:
    """Returns a time in seconds, minutes or hours, whichever suits it.

    Args:
        seconds: the time.
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(count: int) -> str:
    """Returns a number of bytes in the unit that suits it.

    Args:
        count: the bytes.
    """
    number, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.3g} {unit}" if number < 999.5 else f"{number:.0f} {unit}"


def sentence(words: str) -> str:
    """Returns words with their first letter in upper case, and the others as they are.

    Args:
        words: the words.
    """
    return words[:1].upper() + words[1:]


def breakable(name: str) -> Any:
    """Returns a dotted name as HTML in which lines may break after dots and underscores.

    Args:
        name: the name.
    """
    with installed_with("report"):
        import markupsafe

    return markupsafe.Markup("<wbr>").join(re.split(r"(?<=[._])", name))
