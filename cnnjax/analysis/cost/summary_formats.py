"""A summary as text: for the terminal, as CSV, Markdown and HTML, and two side by side."""

import itertools
from collections.abc import Callable, Sequence

from cnnjax.analysis.cost.layer_rows import Row
from cnnjax.analysis.cost.summary import Summary
from cnnjax.analysis.cost.tables import shape_text, table_text


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
        f"{summary.parameters:,} parameters"
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
        _HEADINGS,
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
        [f"{summary.model} {_HEADINGS[i]}" for summary in (first, second) for i in shown],
        [half(one) + half(other) for one, other in itertools.zip_longest(first.rows, second.rows)],
        form,
        title=f"{first.model} and {second.model}",
        notes=[f"{s.model}: {line}" for s in (first, second) for line in totals(s)],
    )
