"""What the plots of searches draw."""

import numpy as np
import pytest

from cnnjax.analysis.plots.courses import plot_courses, plot_tradeoff


def _lines(axes):
    return [(line.get_label(), *line.get_data()) for line in axes.get_lines()]


def test_courses_are_means_with_their_intervals():
    values = np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    figure = plot_courses({"a": values, "b": 2 * values}, "regret")
    (first, other) = _lines(figure.axes[0])
    np.testing.assert_array_equal(first[1], [1, 2])
    np.testing.assert_allclose(first[2], [2, 1])
    np.testing.assert_allclose(other[2], [4, 2])
    band = np.asarray(figure.axes[0].collections[0].get_paths()[0].vertices)
    # 1.96 standard errors of three values with a deviation of 1; none where all are equal.
    half = 1.96 / np.sqrt(3)
    assert sorted({*band[band[:, 0] == 1, 1]}) == pytest.approx([2 - half, 2 + half])
    assert {*band[band[:, 0] == 2, 1]} == {1}


def test_a_front_is_drawn_as_steps_among_the_points():
    groups = {"all": [(10, 0.5), (20, 0.4), (30, 0.9)], "front": [(10, 0.5), (30, 0.9)]}
    axes = plot_tradeoff(groups, "accuracy", joined=["front"]).axes[0]
    points = axes.collections[0].get_offsets()
    np.testing.assert_allclose(points, groups["all"])
    (front,) = _lines(axes)
    assert (front[0], list(front[1]), list(front[2])) == ("front", [10, 30], [0.5, 0.9])
    assert axes.get_xscale() == "log"
