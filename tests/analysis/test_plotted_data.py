"""What the plots draw: the data of their axes are what was given."""

import numpy as np
import pytest

from cnnjax.analysis.behavior.depth_study import DepthStudy
from cnnjax.analysis.behavior.invariance import InvarianceCurve
from cnnjax.analysis.cost.layer_rows import Row
from cnnjax.analysis.plots import plots
from cnnjax.analysis.plots.depth import plot_depth


def _lines(axes):
    return [(line.get_label(), *line.get_data()) for line in axes.get_lines()]


def test_invariance_is_drawn_in_per_cent_against_the_amounts():
    curves = [
        InvarianceCurve(change, np.array([-2.0, 0.0, 2.0]), np.array([0.5, 1, 0.25]), np.ones(3))
        for change in ("shift", "rotation", "scale")
    ]
    figure = plots.plot_invariance(curves)
    assert [axes.get_title() for axes in figure.axes] == ["shift", "rotation", "scale"]
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "pixels to the right",
        "degrees",
        "enlargement",
    ]
    accuracy, probability = _lines(figure.axes[0])
    assert accuracy[0] == "accuracy" and probability[0] == "probability"
    np.testing.assert_array_equal(accuracy[1], [-2, 0, 2])
    np.testing.assert_array_equal(accuracy[2], [50, 100, 25])
    np.testing.assert_array_equal(probability[2], [100, 100, 100])


def _study(**fields):
    names = ("mean", "std", "saturated", "gradient", "variety")
    return DepthStudy(**{name: np.array(fields.get(name, [1.0, 1.0])) for name in names})


def test_depth_is_drawn_from_layer_1_and_zeros_stay_on_the_axis():
    study = _study(std=[1.0, 0.0], saturated=[0.25, 0.5])
    figure = plot_depth({"one": study, "other": _study()}, "title")
    spread, _, saturated, _ = (_lines(axes) for axes in figure.axes)
    assert [line[0] for line in spread] == ["one", "other"]
    np.testing.assert_array_equal(spread[0][1], [1, 2])
    np.testing.assert_array_equal(spread[0][2], [1.0, 1e-12])
    np.testing.assert_array_equal(saturated[0][2], [0.25, 0.5])
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "linear", "linear"]
    sizes = [line.get_markersize() for line in figure.axes[0].get_lines()]
    assert sizes[0] > sizes[1]


def test_more_studies_than_colors_are_drawn():
    figure = plot_depth({str(i): _study() for i in range(9)})
    assert len(figure.axes[0].get_lines()) == 9


def _shown(figure):
    return [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]


@pytest.mark.parametrize("signed", [False, True])
def test_maps_are_drawn_as_they_are_on_one_scale(signed):
    maps = np.random.default_rng(0).normal(size=(3, 4, 5))
    figure = plots.plot_maps(maps, "title", signed=signed)
    images = [axes.get_images()[0] for axes in figure.axes if axes.get_images()]
    assert len(images) == 5
    largest = np.abs(maps).max()
    expected = (-largest, largest) if signed else (maps.min(), maps.max())
    for place, image in enumerate(images):
        np.testing.assert_array_equal(image.get_array(), maps[..., place])
        assert image.get_clim() == expected
    assert figure.get_suptitle() == "title"


def test_kernels_are_drawn_in_their_own_scale():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 2))
    for shown, weights in zip(_shown(plots.plot_kernels(kernel)), kernel.T, strict=True):
        weights = weights.T
        low, high = weights.min(), weights.max()
        np.testing.assert_allclose(shown, (weights - low) / (high - low), atol=1e-6)


def test_a_gallery_has_its_pictures_and_headings():
    gray, color, values = np.full((2, 3, 1), 0.5), np.full((2, 3, 3), 0.25), np.eye(3)
    figure = plots.plot_gallery([[gray, color], [values, gray]], ["a", "b"], ["x", "y"], "title")
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["x", "", "y", ""]
    shown = _shown(figure)
    for array, picture in zip(shown, (gray[..., 0], color, values, gray[..., 0]), strict=True):
        np.testing.assert_array_equal(array, picture)
    with pytest.raises(ValueError, match="zip"):
        plots.plot_gallery([[gray]], ["a", "b"], ["x"])


@pytest.mark.parametrize(
    ("field", "stride", "padding", "corner", "extent"),
    [
        ((3, 5), (1, 1), (1, 2), (1.5, 2.5), (5, 3)),
        ((7, 7), (4, 2), (3, 3), (4.5, 12.5), (7, 7)),
    ],
)
def test_the_box_of_an_overlay_is_the_middle_units_field(field, stride, padding, corner, extent):
    """Unit 4 of 8 sees the pixels from 4 · stride - padding on; pixels start half a unit before."""
    row = Row("c", "Conv", (8, 8, 4), field=field, stride=stride, padding=padding)
    heat = np.random.default_rng(0).uniform(size=(4, 4))
    figure = plots.plot_overlay(np.zeros((16, 16, 3)), heat, row=row)
    (box,) = figure.axes[1].patches
    assert (box.get_x(), box.get_y()) == corner
    assert (box.get_width(), box.get_height()) == extent
    laid = figure.axes[1].get_images()[1]
    np.testing.assert_array_equal(laid.get_array(), heat)
    assert tuple(laid.get_extent()) == (-0.5, 15.5, 15.5, -0.5)


def test_layers_without_a_field_have_no_box():
    row = Row("d", "Dense", (10,))
    figure = plots.plot_overlay(np.zeros((4, 4, 1)), np.zeros((4, 4)), row=row)
    assert len(figure.axes[1].patches) == 0


def test_stacks_of_more_layers_than_colors_are_drawn():
    figure = plots.plot_field_stack({"ten": (3,) * 10})
    (axes,) = figure.axes
    assert len(axes.patches) == 10
    sides = [patch.get_width() for patch in axes.patches]
    assert sides == [21 - 2 * i for i in range(10)]
    assert axes.texts[0].get_text() == "21x21" and axes.texts[-1].get_text() == "3x3"


def test_a_stack_is_centered_in_the_widest():
    figure = plots.plot_field_stack({"wide": (7,), "narrow": (3, 3)})
    wide, narrow = (axes.patches[0] for axes in figure.axes)
    assert (wide.get_x(), wide.get_width()) == (0, 7)
    assert (narrow.get_x(), narrow.get_width()) == (1, 5)


def test_maps_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"maps of shape \(3, 3, 0\)"):
        plots.plot_maps(np.zeros((3, 3, 0)))


def test_an_embedding_is_drawn_as_it_is():
    canvas = np.random.default_rng(0).uniform(size=(6, 6, 1)).astype(np.float32)
    (shown,) = _shown(plots.plot_embedding(canvas, "title"))
    np.testing.assert_array_equal(shown, canvas[..., 0])
