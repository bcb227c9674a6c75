"""The sections that a task gives as data, drawn for the template."""

from collections.abc import Iterator, Sequence
from typing import Any

from cnnjax.reports.box_overlay import box_overlay
from cnnjax.reports.charts import Line, line_chart
from cnnjax.reports.charts.bars_chart import bars_chart
from cnnjax.reports.charts.matrix_table import draw_matrix
from cnnjax.reports.formats import sentence
from cnnjax.reports.pictures import photo
from cnnjax.tasks.sections import (
    Bar,
    Bars,
    Cell,
    Chart,
    Column,
    Matrix,
    Part,
    Pictures,
    Section,
    Table,
    percent,
)

_MARKERS = ("o", "s", "^", "D", "v", "P")
# Pixels of a picture's longer side: beside its words, where the page shows fewer until the reader
# enlarges it, and across its card.
_SMALL, _LARGE = 224, 480
# Longer names are written above their bars rather than beside them.
_SHORT_NAME = 3


def draw_section(section: Section) -> dict[str, Any]:
    """Returns one section for the template.

    Args:
        section: the task's data.

    Returns:
        Its `anchor`, `title`, `caption` and `link`, and `groups` of parts beside each other, each
        with its `layout` and its `parts`, which have a `kind`.

    Raises:
        TypeError: a part is of an unknown kind.
    """
    drawn = [
        (_is_wide(part), draw_part(part, f"{section.anchor}-{place}"))
        for place, part in enumerate(section.parts, 1)
    ]
    return {
        "anchor": section.anchor,
        "title": section.title,
        "caption": section.caption,
        "link": "" if section.link == "-" else section.link or section.title,
        "groups": list(_groups(drawn)),
    }


def _is_wide(part: Part) -> bool:
    return isinstance(part, Pictures) or (isinstance(part, Table) and part.wide)


def _groups(parts: Sequence[tuple[bool, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yields groups of parts: a wide part alone, and the parts between two wide ones together."""
    narrow: list[dict[str, Any]] = []
    for wide, part in parts:
        if not wide:
            narrow.append(part)
            continue
        if narrow:
            yield _group(narrow)
        yield {"layout": "whole", "parts": [part]}
        narrow = []
    if narrow:
        yield _group(narrow)


def _group(parts: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = [part["kind"] for part in parts]
    if kinds == ["table"]:
        return {"layout": "whole", "parts": parts}
    # A matrix needs more room than the parts beside it.
    return {"layout": "split" if kinds[0] == "matrix" else "charts", "parts": parts}


def draw_part(part: Part, name: str) -> dict[str, Any]:
    """Returns one part for the template.

    Args:
        part: the task's data.
        name: the part's name on its page, different from all others.

    Raises:
        TypeError: the part is of an unknown kind.
    """
    match part:
        case Table():
            return {"kind": "table", "part": part, **_table(part)}
        case Chart():
            return {"kind": "chart", "part": part, "name": name, **_chart(part, name)}
        case Bars():
            return {"kind": "bars", "part": part, "svg": bars_chart(part)}
        case Pictures():
            return {"kind": "pictures", "part": part, **_pictures(part)}
        case Matrix():
            return {"kind": "matrix", "part": part, **draw_matrix(part)}
    raise TypeError(
        f"parts: a section holds a {type(part).__name__}; give Table, Chart, Bars, Pictures or "
        "Matrix of cnnjax.tasks.sections"
    )


def _table(table: Table) -> dict[str, Any]:
    columns = [Column(c) if isinstance(c, str) else c for c in table.columns]
    rows = [[Cell(c) if isinstance(c, str) else c for c in row] for row in table.rows]
    return {"columns": columns, "rows": rows}


def _chart(chart: Chart, name: str) -> dict[str, Any]:
    lines, keys, color = [], [], 0
    for series in chart.series:
        # A dashed series is neutral, and takes none of the colors.
        color += not series.dashed
        own = 0 if series.dashed else color
        marker = _MARKERS[own - 1] if series.marks and own else ""
        lines.append(Line(own, series.x, series.y, marker, series.line, series.name))
        if series.name:
            keys.append({"name": series.name, "color": own, "line": series.line or series.dashed})
    views = [
        (
            view,
            line_chart(
                lines, name=name, across=chart.across, up=chart.up, log=view == "logarithmic"
            ),
        )
        for view in chart.views
    ]
    return {"views": views, "keys": keys}


def _pictures(pictures: Pictures) -> dict[str, Any]:
    side = _LARGE if pictures.large else _SMALL
    cards = [
        {
            # A large one may have thin lines in it, which JPEG blurs.
            "picture": photo(picture.pixels, max_side=side, exact=pictures.large),
            "boxes": box_overlay(picture.boxes, *picture.pixels.shape[:2]),
            "bars": draw_bars(picture.bars),
            "alt": picture.alt or _words(picture.label, picture.heading, *picture.lines),
            **{name: getattr(picture, name) for name in ("label", "heading", "lines", "file")},
        }
        for picture in pictures.pictures
    ]
    # One long name decides the layout of all cards, so that they are alike.
    names = [picture.heading for picture in pictures.pictures]
    names += [bar.name for picture in pictures.pictures for bar in picture.bars]
    return {"cards": cards, "long": max(map(len, names), default=0) > _SHORT_NAME}


def draw_bars(bars: Sequence[Bar]) -> list[dict[str, Any]]:
    """Returns named shares for the template, with their numbers as text.

    Args:
        bars: the shares; those outside of 0..1 are drawn as 0 or 1.
    """
    return [
        {
            "name": bar.name,
            "share": min(max(bar.share, 0.0), 1.0),
            "good": bar.good,
            "text": bar.text or percent(bar.share, digits=2, exact=False),
        }
        for bar in bars
    ]


def has_long_names(bars: Sequence[Bar]) -> bool:
    """Returns whether the names are too long to be written beside their bars.

    Args:
        bars: the named shares.
    """
    return max((len(bar.name) for bar in bars), default=0) > _SHORT_NAME


def _words(*parts: str) -> str:
    return sentence(", ".join(part for part in parts if part)) or "picture"
