"""A task's part of a report, as plain data: figures, tables, charts, pictures; never HTML.

A task makes the data; `cnnjax.reports` draws it. A new task gets its page by giving other data.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int, PyTree, Shaped

from cnnjax.tasks.section_parts import (
    Axis,
    Bar,
    Bars,
    Bin,
    Cell,
    Chart,
    Column,
    Matrix,
    Part,
    Picture,
    Pictures,
    Series,
    Table,
)

__all__ = [
    "Axis",
    "Bar",
    "Bars",
    "Bin",
    "Cell",
    "Chart",
    "Column",
    "Evaluated",
    "Example",
    "Figure",
    "Matrix",
    "MetricChart",
    "Part",
    "Picture",
    "Pictures",
    "Section",
    "Series",
    "Table",
    "TaskReport",
    "percent",
]


@dataclass(frozen=True)
class Evaluated:
    """The evaluated examples, and a network's predictions for them.

    Attributes:
        predictions: the task's predictions, a pytree of arrays [examples, ...].
        parts: the examples' other parts by name, each [examples, ...]: "label", "mask", ...
        images: an index with an array of places gives their images as they are stored, most often
            uint8 [chosen, height, width, channels]; they may be decoded only then.
        positions: the examples' places in their dataset, which differ from their places here where
            some could not be read.
        split: name of their split: "test", or "validation" where examples were held out.
        files: paths of the examples' image files; None where examples have no files of their own.
        framed: from parts [chosen, ...] as they are stored to those that the network gets, with
            images from 0 to 1; None where they are the same.
    """

    predictions: PyTree[Shaped[np.ndarray, "examples ..."]]
    parts: Mapping[str, np.ndarray]
    images: Any
    positions: Int[np.ndarray, " examples"]
    split: str = "test"
    files: Sequence[str] | None = None
    framed: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.positions)

    def seen(
        self, places: Int[np.ndarray, " chosen"], names: Sequence[str] = ("image",)
    ) -> dict[str, np.ndarray]:
        """Returns some parts of some examples in the size that the network gets.

        Args:
            places: which of the examples.
            names: names of the parts, such as "image" and "mask".
        """
        parts = {
            name: np.asarray(self.images[places] if name == "image" else self.parts[name][places])
            for name in names
        }
        moved = parts if self.framed is None else self.framed(parts)
        return {name: np.asarray(moved[name]) for name in names}


@dataclass(frozen=True)
class Figure:
    """A number at the head of the page.

    Attributes:
        name: what it is, "Test accuracy".
        value: the number as text, with its unit.
        note: a line that explains it, "53 of 60 images right".
    """

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes:
        anchor: its name in links, unique on the page: letters, digits and hyphens.
        title: its heading.
        caption: a sentence or two below it.
        parts: what it shows, in this order; two narrow ones are beside each other.
        link: its name in the list of sections; "" for the title, "-" for none.
    """

    anchor: str
    title: str
    caption: str
    parts: Sequence[Part]
    link: str = ""

    def __post_init__(self) -> None:
        """Refuses an anchor that cannot be part of a link."""
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", self.anchor):
            raise ValueError(
                f"anchor: {self.anchor!r} of the section {self.title!r} cannot be part of a link; "
                "give letters, digits and hyphens, a letter first"
            )


@dataclass(frozen=True)
class Example:
    """The example whose way through the network a page shows.

    Attributes:
        place: its place among the evaluated ones.
        name: which it is, in words that fit into a sentence: "test image 5, a cat".
        bars: the network's output for it.
        heading: a name for that: "predicted".
        note: what the bars are, "probabilities"; without bars, the network's output as text.
    """

    place: int
    name: str
    bars: Sequence[Bar] = ()
    heading: str = "the output"
    note: str = ""


@dataclass(frozen=True)
class TaskReport:
    """All that a page shows of a task.

    Attributes:
        figures: headline figures, the most important one first; its value is part of the page's
            title.
        sections: in the order of the page.
        metrics: figures under the names in training's log; the page reports where the log and the
            network on the page disagree.
        example: the example whose way through the network is shown; None for the first.
    """

    figures: Sequence[Figure]
    sections: Sequence[Section]
    metrics: Mapping[str, float] = field(default_factory=dict)
    example: Example | None = None


@dataclass(frozen=True)
class MetricChart:
    """How a logged metric is drawn as a learning curve.

    Attributes:
        metric: its name in the log.
        title: its name on the page, "Loss".
        percent: whether it is a share of 1, drawn in per cent.
        log: whether a logarithmic axis is the first view and a linear one the second; otherwise the
            linear axis is the only one.
        also: name of 1 minus the metric, such as "error" for an accuracy; it is drawn on a
            logarithmic axis as a second view; "" for none.
        note: a sentence below it.
    """

    metric: str
    title: str
    percent: bool = False
    log: bool = False
    also: str = ""
    note: str = ""


def percent(share: float, *, digits: int = 2, exact: bool = True) -> str:
    """Returns a share of 1 in per cent; only an exact 0 or 1 reads as exactly 0 or 100 %.

    Args:
        share: the share.
        digits: decimals.
        exact: whether 0 and 1 are exact, as where they count examples; False for a probability,
            which only rounding makes 0 or 1.
    """
    if math.isnan(share):
        return "not a number"
    step = 10.0**-digits
    # Below half a step, the number would be rounded to 0.
    if share < step / 200 and not (exact and share == 0):
        return f"< {step:.{digits}f} %"
    if share > 1 - step / 200 and not (exact and share == 1):
        return f"> {100 - step:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"
