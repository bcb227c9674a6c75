"""The kinds of parts that a report's sections are made of: plain data, never HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int, Num

from cnnjax.tasks.marked_boxes import MarkedBox

MOST_SERIES = 6
"""The most lines of one chart: more colors would be hard to distinguish."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table that shows more than a text.

    Attributes:
        text: its text.
        tone: how strongly it is colored, from 0 to 1; None for no color.
        good: whether the color, or the bar, is the one for right or the one for wrong; None for a
            neutral one.
        bar: length of a bar instead of the text, from 0 to 1.
        title: shown under the pointer.
    """

    text: str
    tone: float | None = None
    good: bool | None = None
    bar: float | None = None
    title: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a table's column.

    Attributes:
        name: its text; "" where it shares the name of the column beside it.
        number: whether its cells are numbers, which are aligned to the right.
    """

    name: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: its heading; "" for none.
        columns: the heads; a text is a column of words.
        rows: one cell a column; a text is a plain cell.
        caption: a sentence above it; "" for none.
        wide: whether it takes the page's width rather than half of it.
        empty: a sentence instead, where there are no rows.
    """

    title: str
    columns: Sequence[str | Column]
    rows: Sequence[Sequence[str | Cell]]
    caption: str = ""
    wide: bool = False
    empty: str = ""

    def __post_init__(self) -> None:
        """Refuses rows whose length differs from the head's."""
        for place, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows: row {place} of the table {self.title!r} has {len(row)} cells for "
                    f"{len(self.columns)} columns; give one for each"
                )


Axis = Literal["linear", "logarithmic"]


@dataclass(frozen=True)
class Series:
    """Points of a chart.

    Attributes:
        name: what they are, shown beside the color; "" for no key.
        x: the points' horizontal places; points that are not finite are left out.
        y: the points' vertical places, one for each of `x`.
        line: whether a line joins them.
        marks: whether each is marked.
        dashed: whether the line is thin, dashed and of a neutral color: a reference to compare to.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    line: bool = True
    marks: bool = True
    dashed: bool = False

    def __post_init__(self) -> None:
        """Refuses points that lack one of their two numbers."""
        if len(self.x) != len(self.y):
            raise ValueError(
                f"x, y: the series {self.name!r} has {len(self.x)} x and {len(self.y)} y; give "
                "both for each point"
            )


@dataclass(frozen=True)
class Chart:
    """Lines or points over a common axis.

    Attributes:
        title: its heading.
        series: the lines; at most 6 that are not dashed.
        across: what the horizontal axis shows, with its unit.
        up: what the vertical axis shows, with its unit.
        views: vertical axes between which a reader chooses; the page shows the first one at first.
        caption: what to see in it.
    """

    title: str
    series: Sequence[Series]
    across: str
    up: str
    views: Sequence[Axis] = ("linear",)
    caption: str = ""

    def __post_init__(self) -> None:
        """Refuses unknown axes, and more lines than there are colors."""
        known = ("linear", "logarithmic")
        if not self.views or any(view not in known for view in self.views):
            raise ValueError(
                f"views: {tuple(self.views)} of the chart {self.title!r}; give one or both of "
                f"{known}"
            )
        colored = sum(not series.dashed for series in self.series)
        if colored > MOST_SERIES:
            raise ValueError(
                f"series: the chart {self.title!r} has {colored}; at most {MOST_SERIES} colors can "
                "be distinguished: draw fewer, or several charts"
            )


@dataclass(frozen=True)
class Bin:
    """One bar of `Bars`.

    Attributes:
        low: lower end of its range, in 0..1.
        high: upper end of its range, in 0..1.
        height: how high it is, in 0..1.
        mark: where a line crosses it, in 0..1: the value to which its height is compared.
        share: its share of all examples, in 0..1.
        pale: whether it is drawn pale, since few examples make its height uncertain.
        title: shown under the pointer.
    """

    low: float
    high: float
    height: float
    mark: float
    share: float
    pale: bool = False
    title: str = ""


@dataclass(frozen=True)
class Bars:
    """Bars over a range of 0..1, each compared to a mark; a reliability diagram.

    Both axes are in per cent, and a dashed line runs where they are equal.

    Attributes:
        title: its heading.
        bins: the bars that have examples.
        across: what the horizontal axis shows.
        up: what the bars' height shows.
        below: what the strip of shares below shows.
        keys: names of the bar and of the mark.
        note: a sentence above it.
        caption: what to see in it.
    """

    title: str
    bins: Sequence[Bin]
    across: str
    up: str
    below: str
    keys: tuple[str, str]
    note: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Bar:
    """A named share beside a picture.

    Attributes:
        name: what the share belongs to.
        share: its length, from 0 to 1.
        good: whether it belongs to the right class.
        text: the number beside it; "" for the share as a probability in per cent.
    """

    name: str
    share: float
    good: bool = False
    text: str = ""


@dataclass(frozen=True)
class Picture:
    """An image with the texts and bars beside it.

    Attributes:
        pixels: uint8, or other numbers in 0..1; other ranges are scaled to it. Of other numbers of
            channels than 1 or 3 the mean is shown.
        heading: the line in bold beside it.
        label: a small word above the heading: "truth".
        lines: small lines below the heading.
        bars: named shares.
        alt: a description of the picture, for screen readers and below it when it is enlarged; ""
            for the lines beside it.
        file: name of its file; "" for none.
        boxes: drawn on the picture, the later ones above the earlier ones.
    """

    pixels: Num[np.ndarray, "height width channels"]
    heading: str = ""
    label: str = ""
    lines: Sequence[str] = ()
    bars: Sequence[Bar] = ()
    alt: str = ""
    file: str = ""
    boxes: Sequence[MarkedBox] = ()


@dataclass(frozen=True)
class Pictures:
    """Cards of images.

    Attributes:
        title: their heading; "" for none.
        pictures: the images.
        caption: a sentence above them.
        large: whether each takes the width of its card rather than a corner of it, so that small
            things in it are visible.
    """

    title: str
    pictures: Sequence[Picture]
    caption: str = ""
    large: bool = False


@dataclass(frozen=True)
class Matrix:
    """Counts of pairs of names, drawn with numbers in its cells, or as a picture if they are many.

    Attributes:
        names: a name for each row and column.
        counts: [names, names].
        down: what the rows are: "truth".
        across: what the columns are: "predicted".
        unit: what is counted: "images".
        title: its heading; "" for none.
    """

    names: Sequence[str]
    counts: Int[np.ndarray, "names names"]
    down: str
    across: str
    unit: str = "examples"
    title: str = ""

    def __post_init__(self) -> None:
        """Refuses counts that do not fit the names."""
        expected = (len(self.names), len(self.names))
        if np.shape(self.counts) != expected:
            raise ValueError(
                f"counts: shape {np.shape(self.counts)} for {len(self.names)} names; expected "
                f"{expected}"
            )


Part = Table | Chart | Bars | Pictures | Matrix
"""A part of a report's section."""
