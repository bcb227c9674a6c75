"""Numbers as a page shows them."""

import re
from typing import Any

from cnnjax.extras import installed_with
from cnnjax.tasks.sections import percent


def compact(value: float) -> str:
    """Returns a number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def metric_value(value: float, *, in_percent: bool) -> str:
    """Returns a metric in per cent, or with three significant digits."""
    return percent(value) if in_percent else compact(value)


def duration(seconds: float) -> str:
    """Returns a time in the units that suit it."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(count: int) -> str:
    """Returns a number of bytes in the unit that suits it."""
    number, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"


def sentence(words: str) -> str:
    """Returns words with their first letter in upper case, and the others as they are."""
    return words[:1].upper() + words[1:]


def breakable(name: str) -> Any:
    """Returns a dotted name that may be broken after its dots and underscores, as HTML."""
    with installed_with("report"):
        import markupsafe

    return markupsafe.Markup("<wbr>").join(re.split(r"(?<=[._])", name))
