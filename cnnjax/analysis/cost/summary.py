"""A summary of a network, and its forms: for the terminal, CSV, Markdown, HTML, side by side."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnnjax.analysis.calls import check_names
from cnnjax.analysis.cost.layer_rows import Row
from cnnjax.analysis.cost.tables import shape_text, table_text


@dataclass(frozen=True)
class Summary:
    """The rows of a network, the input first, and their totals.

    Attributes:
        model: name of the model.
        input_shape: shape of one image.
        rows: in the order of computation.
        other_parameters: parameters of modules that evaluation does not call, such as auxiliary
            heads; they are in no row.
        xla_multiply_adds: half of XLA's own count of floating-point operations, if requested.
        biases: whether the parameters include biases.
    """

    model: str
    input_shape: tuple[int, ...]
    rows: tuple[Row, ...]
    other_parameters: int = 0
    xla_multiply_adds: int | None = None
    biases: bool = True

    @property
    def parameters(self) -> int:
        """Trainable parameters of the layers."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and matrix products for one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def values(self) -> int:
        """Values in the input and all outputs for one image."""
        return sum(row.values for row in self.rows)

    @property
    def bytes_forward(self) -> int:
        """Bytes of the input and all outputs for one image."""
        return sum(row.bytes_forward for row in self.rows)

    @property
    def bytes_kept(self) -> int:
        """Bytes for one image that a training step keeps until the backward pass."""
        return sum(row.bytes_kept for row in self.rows)

    def row(self, layer: str) -> Row:
        """Returns the row of a layer; for a module that calls others, its last row.

        Args:
            layer: the row's name, or the path of a module.

        Raises:
            KeyError: there is no such layer; the message gives the nearest.
        """
        found = [r for r in self.rows if r.name == layer or r.name.startswith(f"{layer}/")]
        check_names([] if found else [layer], [r.name for r in self.rows], f"row of {self.model}")
        return found[-1]

    def __str__(self) -> str:
        # The formats are built on this class.
        return format_summary(self)


def compact(number: float) -> str:
    """Returns a count with three digits and a letter: 15237608 becomes "15.2M"; 0 becomes "".

    Args:
        number: the count, at least 0.
    """
    # Rounded first: 999,999 is 1.00M, not 1000K.
    rounded = float(f"{number:.3g}")
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if rounded >= size:
            digits = 0 if rounded >= 100 * size else 1 if rounded >= 10 * size else 2
            return f"{rounded / size:.{digits}f}{letter}"
    return f"{number:.0f}" if number else ""


def pair_text(pair: Sequence[float] | None) -> str:
    """Returns a pair such as a receptive field as text: "7" if both are 7, else "7x5".

    Args:
        pair: rows and columns; None becomes "".
    """
    if pair is None:
        return ""
    rows, columns = (f"{value:g}" for value in pair)
    return rows if rows == columns else f"{rows}x{columns}"


_HEADINGS = (
    "layer",
    "kind",
    "output",
    "parameters",
    "multiply-adds",
    "values",
    "bytes forward",
    "bytes kept",
    "field",
    "stride",
    "padding",
)


def _headings(summary: Summary) -> list[str]:
    """Returns the names of the columns."""
    counted = "parameters" if summary.biases else "parameters without biases"
    return [counted if name == "parameters" else name for name in _HEADINGS]


def _cells(row: Row, number: Callable[[int], str]) -> list[str]:
    counts = (
        row.parameters,
        row.multiply_adds,
        row.values,
        row.bytes_forward,
        row.bytes_kept,
    )
    places = (row.field, row.stride, row.padding)
    return [
        row.name,
        row.kind,
        shape_text(row.shape),
        *map(number, counts),
        *map(pair_text, places),
    ]


def totals(summary: Summary) -> list[str]:
    """Returns the totals of a summary, a line for each figure.

    Args:
        summary: the summary.
    """
    unused = summary.other_parameters
    lines = [
        f"{summary.parameters:,} parameters{'' if summary.biases else ' without biases'}"
        + (f", and {unused:,} that evaluation does not use" if unused else ""),
        f"{summary.multiply_adds:,} multiply-adds for one image",
        f"{summary.values:,} values ({compact(summary.bytes_forward)}B) in the input and all "
        "outputs of one image",
        f"{compact(summary.bytes_kept) or 0}B kept by a training step for the backward pass of one "
        "image",
    ]
    if summary.xla_multiply_adds is not None:
        lines.append(
            f"{summary.xla_multiply_adds:,} is half of the operations that XLA counts: it leaves "
            "out products with padding, and includes norms, biases and activations"
        )
    return lines


def format_summary(summary: Summary, form: str = "table") -> str:
    """Returns a summary as text, a row for each layer and the totals beneath.

    Args:
        summary: the summary.
        form: "table" for the terminal, "csv" (exact figures), "markdown" or "html".

    Returns:
        The text, ending in a newline; CSV has the rows alone.

    Raises:
        ValueError: the form is not known.
    """
    number = str if form == "csv" else compact
    return table_text(
        _headings(summary),
        [_cells(row, number) for row in summary.rows],
        form,
        title=f"{summary.model}, input {shape_text(summary.input_shape)}",
        notes=totals(summary),
    )


def side_by_side(first: Summary, second: Summary, form: str = "table") -> str:
    """Returns two networks' rows beside each other, as text, and both totals beneath.

    Args:
        first: the summary on the left.
        second: the summary on the right.
        form: "table", "csv", "markdown" or "html"; as in `format_summary`.

    Returns:
        The text, ending in a newline.

    Raises:
        ValueError: the form is not known.
    """
    number = str if form == "csv" else compact
    # Layer, output, parameters, multiply-adds and values: all columns twice would be too wide.
    shown = (0, 2, 3, 4, 5)

    def half(row: Row | None) -> list[str]:
        return [_cells(row, number)[i] for i in shown] if row else [""] * len(shown)

    return table_text(
        [f"{summary.model} {_headings(summary)[i]}" for summary in (first, second) for i in shown],
        [half(one) + half(other) for one, other in itertools.zip_longest(first.rows, second.rows)],
        form,
        title=f"{first.model} and {second.model}",
        notes=[f"{s.model}: {line}" for s in (first, second) for line in totals(s)],
    )
