"""What a task gives as data, drawn for the template."""

from typing import Any

import numpy as np
import pytest

from cnnjax.reports.chosen_classes import chosen_classes
from cnnjax.reports.photo_section import named_bars
from cnnjax.reports.task_sections import draw_bars, draw_part, draw_section, has_long_names
from cnnjax.tasks import Classification
from cnnjax.tasks.sections import (
    Bar,
    Bars,
    Cell,
    Chart,
    Column,
    Evaluated,
    Matrix,
    Picture,
    Pictures,
    Section,
    Series,
    Table,
)
from tests.reports.images import decoded

CHART = Chart("Chart", [Series("one", [1.0, 2.0], [3.0, 4.0])], "across", "up")
TABLE = Table("Table", ("a", Column("b", number=True)), [("x", Cell("1"))])
WIDE = Table("Wide", ("a",), [("x",)], wide=True)
MATRIX = Matrix(("a", "b"), np.eye(2, dtype=int), "truth", "predicted")
PICTURES = Pictures("Pictures", [Picture(np.zeros((4, 6, 1), np.uint8), heading="a")])


@pytest.mark.parametrize(
    ("parts", "layouts"),
    [
        ((), []),
        ((TABLE,), [("whole", ["table"])]),
        ((CHART,), [("charts", ["chart"])]),
        ((MATRIX, TABLE), [("split", ["matrix", "table"])]),
        ((CHART, CHART, TABLE), [("charts", ["chart", "chart", "table"])]),
        (
            (CHART, WIDE, TABLE, PICTURES, MATRIX),
            [
                ("charts", ["chart"]),
                ("whole", ["table"]),
                ("whole", ["table"]),
                ("whole", ["pictures"]),
                ("split", ["matrix"]),
            ],
        ),
    ],
)
def test_narrow_parts_are_beside_each_other_and_wide_ones_alone(parts, layouts):
    drawn = draw_section(Section("a", "Title", "caption", parts))
    assert [
        (group["layout"], [part["kind"] for part in group["parts"]]) for group in drawn["groups"]
    ] == layouts


@pytest.mark.parametrize(("link", "shown"), [("", "Title"), ("-", ""), ("Other", "Other")])
def test_the_link_is_the_title_unless_it_is_given(link, shown):
    assert draw_section(Section("a", "Title", "", (), link))["link"] == shown


def test_cells_and_columns_of_text_become_plain_ones():
    drawn = draw_part(TABLE, "a-1")
    assert drawn["columns"] == [Column("a"), Column("b", number=True)]
    assert drawn["rows"] == [[Cell("x"), Cell("1")]]


def test_series_have_colors_in_order_and_dashed_ones_are_neutral():
    x = [0.0, 1.0]
    chart = Chart(
        "Chart",
        [
            Series("limit", x, x, dashed=True),
            Series("one", x, x),
            Series("", x, x),
            Series("points", x, x, line=False),
        ],
        "across",
        "up",
    )
    drawn = draw_part(chart, "a-1")
    assert [(key["name"], key["color"], key["line"]) for key in drawn["keys"]] == [
        ("limit", 0, True),
        ("one", 1, True),
        ("points", 3, False),
    ]
    ((_, svg),) = drawn["views"]
    assert all(f"var(--c{color})" in svg for color in (1, 2, 3))


def test_a_chart_without_points_says_that_there_are_none():
    ((view, svg),) = draw_part(Chart("C", [Series("s", [], [])], "x", "y"), "a-1")["views"]
    assert svg is None and view


def test_pictures_have_their_pixels_their_words_and_their_bars():
    image = np.arange(24, dtype=np.uint8).reshape(4, 6, 1) * 10
    bars = (Bar("long name", 0.25),)
    drawn = draw_part(
        Pictures("P", [Picture(image, "heading", "label", ("one", ""), bars), Picture(image)]), "a"
    )
    first, second = drawn["cards"]
    np.testing.assert_array_equal(decoded(first["picture"], "L"), image[..., 0])
    assert first["alt"] == "Label, heading, one" and second["alt"] == "picture"
    assert first["bars"][0]["text"] == "25.00 %" and second["bars"] == []
    assert drawn["long"]


@pytest.mark.parametrize(
    ("share", "text", "length", "shown"),
    [
        (0.5, "", 0.5, "50.00 %"),
        (1.0, "", 1.0, "> 99.99 %"),
        (0.0, "", 0.0, "< 0.01 %"),
        (1.5, "3 of 2", 1.0, "3 of 2"),
        (-0.5, "x", 0.0, "x"),
    ],
)
def test_bars_are_shares_between_0_and_1(share, text, length, shown):
    (bar,) = draw_bars([Bar("a", share, text=text)])
    assert (bar["share"], bar["text"]) == (length, shown)


def test_names_of_more_than_three_letters_are_long():
    assert not has_long_names([]) and not has_long_names([Bar("abc", 1)])
    assert has_long_names([Bar("abc", 1), Bar("abcd", 1)])


def test_named_bars_are_the_likeliest_classes_in_order():
    task = Classification(tuple("abcdefg"))
    shares = np.array([0.05, 0.3, 0.1, 0.2, 0.15, 0.16, 0.04])
    bars = named_bars(task, np.log(shares))
    assert [bar.name for bar in bars] == ["b", "d", "f", "e", "c"]
    np.testing.assert_allclose([bar.share for bar in bars], [0.3, 0.2, 0.16, 0.15, 0.1])


@pytest.mark.parametrize(
    ("names", "prediction"),
    [
        ((), [0.0, 1.0]),
        (("a", "b"), [0.0, np.nan]),
        (("a", "b"), [0.0, -np.inf]),
        (("a", "b"), [0.0, 1.0, 2.0]),
        (("a", "b"), 1.0),
    ],
)
def test_predictions_that_are_not_of_classes_have_no_bars(names, prediction):
    task = Classification(names) if names else object()
    assert named_bars(task, np.array(prediction)) == []


def test_one_class_has_one_bar():
    (bar,) = named_bars(Classification(("only",)), np.array([0.0]))
    assert (bar.name, bar.share) == ("only", 1.0)


def _evaluated(predictions, **parts):
    return Evaluated(predictions, parts, None, np.arange(len(predictions)))


def test_classes_of_chosen_examples_are_those_of_their_places():
    predictions = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]))
    evaluated = _evaluated(predictions, label=np.array([0, 0, 1]))
    classes: Any = chosen_classes(Classification(("a", "b")), evaluated, np.array([2, 1]))
    assert classes.predicted.tolist() == [1, 1] and classes.labels.tolist() == [1, 0]
    assert classes.right.tolist() == [True, False] and classes.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("task", "predictions", "parts"),
    [
        (object(), np.zeros((2, 2)), {"label": np.zeros(2, int)}),
        (Classification(("a", "b")), np.zeros((2, 2)), {}),
        (Classification(("a", "b")), np.zeros((2, 2)), {"label": np.zeros((2, 2), int)}),
        (Classification(("a", "b")), np.zeros((2, 3)), {"label": np.zeros(2, int)}),
        (Classification(("a", "b")), {"x": np.zeros((2, 2))}, {"label": np.zeros(2, int)}),
    ],
)
def test_examples_without_one_class_each_have_none(task, predictions, parts):
    evaluated = Evaluated(predictions, parts, None, np.arange(2))
    assert chosen_classes(task, evaluated, np.array([0])) is None


def test_a_diagram_of_bars_is_drawn_without_bins():
    drawn = draw_part(Bars("B", (), "across", "up", "below", ("bar", "mark")), "a-1")
    assert drawn["kind"] == "bars" and drawn["svg"].startswith("<svg")
