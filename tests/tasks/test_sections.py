import numpy as np
import pytest

from cnnjax.tasks import sections


@pytest.mark.parametrize(
    ("share", "exact", "expected"),
    [
        (0.5, True, "50.00 %"),
        (0.0, True, "0.00 %"),
        (1.0, True, "100.00 %"),
        (1e-9, True, "< 0.01 %"),
        (1 - 1e-9, True, "> 99.99 %"),
        (0.0, False, "< 0.01 %"),
        (1.0, False, "> 99.99 %"),
        (0.00006, True, "0.01 %"),
        (float("nan"), True, "not a number"),
    ],
)
def test_shares_read_as_exact_only_where_they_are(share, exact, expected):
    assert sections.percent(share, exact=exact) == expected


def test_rows_have_a_cell_for_each_column():
    with pytest.raises(ValueError, match="row 1 of the table 'T' has 1 cells for 2 columns"):
        sections.Table("T", ("a", "b"), [("1", "2"), ("3",)])


def test_series_have_both_numbers_of_each_point():
    with pytest.raises(ValueError, match="'s' has 2 x and 1 y"):
        sections.Series("s", [1, 2], [1])


def test_charts_have_known_axes_and_as_many_lines_as_colors():
    line = sections.Series("s", [1], [1])
    with pytest.raises(ValueError, match="'linear', 'logarithmic'"):
        sections.Chart("C", [line], "x", "y", views=("log",))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="has 7; at most 6"):
        sections.Chart("C", [line] * 7, "x", "y")
    dashed = sections.Series("s", [1], [1], dashed=True)
    assert sections.Chart("C", [*[line] * 6, dashed], "x", "y")


def test_a_matrix_has_a_row_and_a_column_per_name():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) for 2 names"):
        sections.Matrix(("a", "b"), np.zeros((2, 3), int), "truth", "predicted")


def test_anchors_are_parts_of_links():
    with pytest.raises(ValueError, match="'two words' of the section 'T'"):
        sections.Section("two words", "T", "", ())
