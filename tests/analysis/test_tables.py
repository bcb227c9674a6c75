"""Tables and numbers as text: the four forms have the same cells."""

import csv
import html.parser
import io
import re

import pytest

from cnnjax.analysis.cost.layer_rows import Row
from cnnjax.analysis.cost.summary import (
    Summary,
    compact,
    format_summary,
    pair_text,
    side_by_side,
    totals,
)
from cnnjax.analysis.cost.tables import FORMATS, shape_text, table_text

HEADINGS = ("layer", "kind", "output", "count")
ROWS = [["a|b", "x<y>", "3x4", "12"], ["[bold]c[/bold]", ":x:", "", "-5"], ["d", "e, f", "7", ""]]


class _Cells(html.parser.HTMLParser):
    """Collects the text of cells, row by row."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("td", "th")
        if self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def read_table(text, form):
    """The cells of a table in any form, the headings first."""
    if form == "csv":
        return list(csv.reader(io.StringIO(text)))
    if form == "html":
        return _Cells(text).rows
    if form == "markdown":
        lines = [line for line in text.splitlines() if line.startswith("|")]
        cells = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in lines if "---" not in line]
        return [[cell.replace("\\|", "|").strip() for cell in row] for row in cells]
    lines = [line for line in text.splitlines() if line[:1] in ("┃", "│")]
    return [[cell.strip() for cell in re.split("[┃│]", line)[1:-1]] for line in lines]


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_has_the_same_cells(form):
    text = table_text(HEADINGS, ROWS, form, title="A title", notes=["a note"])
    assert read_table(text, form) == [list(HEADINGS), *ROWS]
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert ("A title" in text) == ("a note" in text) == (form != "csv")


def test_numbers_are_on_the_right_and_shapes_are_not():
    text = table_text(HEADINGS, ROWS, "markdown")
    # The first column and shapes are text; a column of numbers and empty cells is numeric.
    assert text.splitlines()[1] == "| --- | --- | --- | --: |"
    cells = re.findall(r"<td( class=number)?>", table_text(HEADINGS, ROWS[:1], "html"))
    assert cells == ["", "", "", " class=number"]


def test_a_table_without_rows_has_its_headings():
    assert table_text(("a", "b"), [], "csv") == "a,b\n"
    assert read_table(table_text(("a", "b"), [], "table"), "table") == [["a", "b"]]


def test_unknown_forms_are_refused():
    with pytest.raises(ValueError, match=r"form 'json' is not known; there are \('table', 'csv'"):
        table_text(HEADINGS, ROWS, "json")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, ""),
        (1, "1"),
        (999, "999"),
        (1000, "1.00K"),
        (9994, "9.99K"),
        (9996, "10.0K"),
        (99_960, "100K"),
        (999_499, "999K"),
        (999_999, "1.00M"),
        (15_237_608, "15.2M"),
        (138_357_544, "138M"),
        (15_470_264_320, "15.5G"),
        (2.5e12, "2.50T"),
    ],
)
def test_compact_numbers_have_three_digits(number, text):
    assert compact(number) == text


@pytest.mark.parametrize(
    ("pair", "text"),
    [(None, ""), ((7, 7), "7"), ((7, 5), "7x5"), ((0.5, 0.5), "0.5"), ((-3, 1), "-3x1")],
)
def test_equal_pairs_are_one_number(pair, text):
    assert pair_text(pair) == text


def test_shapes_are_joined():
    assert shape_text((28, 28, 6)) == "28x28x6" and shape_text((10,)) == "10"
    assert shape_text(()) == ""


def _summary(name="net", layers=3, xla=None, unused=0):
    rows = tuple(
        Row(
            f"layer{i}",
            "Conv",
            (8, 8, i + 1),
            parameters=1000 * i,
            multiply_adds=1_000_000 * i,
            values=64 * (i + 1),
            bytes_forward=256 * (i + 1),
            bytes_kept=128 * i,
            field=(3 + i, 5),
            stride=(1, 1),
            padding=(1, 0.5),
        )
        for i in range(layers)
    )
    return Summary(name, (8, 8, 1), rows, unused, xla)


@pytest.mark.parametrize("form", FORMATS)
def test_summaries_have_the_same_rows_in_every_form(form):
    summary = _summary()
    heads, *rows = read_table(format_summary(summary, form), form)
    assert heads[:3] == ["layer", "kind", "output"] and len(rows) == 3
    exact = form == "csv"
    assert rows[2] == [
        "layer2",
        "Conv",
        "8x8x3",
        "2000" if exact else "2.00K",
        "2000000" if exact else "2.00M",
        "192",
        "768",
        "256",
        "5",
        "1",
        "1x0.5",
    ]


def test_totals_are_the_sums_of_the_rows():
    lines = totals(_summary(xla=77, unused=12))
    assert lines[0] == "3,000 parameters, and 12 that evaluation does not use"
    assert lines[1] == "3,000,000 multiply-adds for one image"
    assert lines[2].startswith("384 values (1.54KB)")
    assert lines[3].startswith("384B kept")
    assert lines[4].startswith("77 is half of the operations that XLA counts")
    assert len(totals(_summary())) == 4


def test_a_summary_of_nothing_has_zeros():
    summary = Summary("empty", (4,), ())
    assert (summary.parameters, summary.values, summary.bytes_kept) == (0, 0, 0)
    assert totals(summary)[3].startswith("0B kept")


@pytest.mark.parametrize("form", FORMATS)
def test_the_shorter_of_two_networks_ends_in_empty_cells(form):
    text = side_by_side(_summary("one", 3), _summary("other", 1), form)
    heads, *rows = read_table(text, form)
    assert heads[0] == "one layer" and heads[5] == "other layer" and len(heads) == 10
    assert [row[0] for row in rows] == ["layer0", "layer1", "layer2"]
    assert [row[5] for row in rows] == ["layer0", "", ""]
    assert rows[2][5:] == [""] * 5
    assert ("one: 3,000 parameters" in text) == (form != "csv")


def test_a_printed_summary_is_its_table():
    assert str(_summary()) == format_summary(_summary(), "table")
    assert str(_summary()).splitlines()[0] == "net, input 8x8x1"
