"""Pictures of a page, decoded and compared with the arrays that they show."""

import base64
import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from cnnjax.reports.charts.matrix_table import draw_matrix
from cnnjax.reports.looking_section import over_pixels
from cnnjax.reports.pictures import (
    boxed,
    color_tile,
    displayed,
    heat_map,
    overlaid,
    photo,
    rescaled,
    value_range,
)
from cnnjax.tasks.sections import Matrix
from tests.reports.images import decoded


def _map_color(name, value):
    return np.round(np.array(matplotlib.colormaps[name](value))[:3] * 255)


def test_stored_images_are_shown_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(photo(image)), image)
    np.testing.assert_array_equal(decoded(photo(image[..., :1]), "L"), image[..., 0])


def test_large_images_are_scaled_down_to_the_longer_side():
    image = np.zeros((100, 300, 1), np.uint8)
    assert decoded(photo(image, max_side=60), "L").shape == (20, 60)
    image[:, 150:] = 200
    small = decoded(photo(image, max_side=2), "L")
    np.testing.assert_array_equal(small, [[0, 200]])


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.0, 0.2, 1.0], [0, 51, 255]),  # in 0..1: as they are
        ([-1.0, 0.0, 1.0], [0, 128, 255]),  # else from the smallest to the largest
        ([0.0, 5.0, 10.0], [0, 128, 255]),
        ([3.0, 3.0, 3.0], [0, 0, 0]),
        ([0.0, np.nan, 1.0], [0, 0, 255]),
    ],
)
def test_other_numbers_are_scaled_if_they_must(values, shown):
    image = np.array(values, np.float32).reshape(1, 3, 1)
    np.testing.assert_array_equal(displayed(image)[0, :, 0], shown)


def test_other_numbers_of_channels_are_averaged():
    image = np.arange(8, dtype=np.uint8).reshape(2, 2, 2) * 10
    np.testing.assert_array_equal(displayed(image)[..., 0], [[5, 25], [45, 65]])
    two = np.stack([np.zeros((2, 2)), np.eye(2)], axis=-1)
    np.testing.assert_allclose(rescaled(two)[..., 0], np.eye(2))


def test_a_heat_map_has_the_colors_of_its_ends():
    values = np.array([[-5.0, 0.0], [2.0, 9.0], [np.nan, 1.0]])
    pixels = decoded(heat_map(values, low=0, high=2))
    first, last = _map_color("viridis", 0.0), _map_color("viridis", 1.0)
    # Smaller values and NaN have the first color, larger ones the last.
    for row, column, color in ((0, 0, first), (0, 1, first), (1, 0, last), (1, 1, last)):
        np.testing.assert_allclose(pixels[row, column], color, atol=1)
    np.testing.assert_allclose(pixels[2, 0], first, atol=1)
    np.testing.assert_allclose(pixels[2, 1], _map_color("viridis", 32 / 63), atol=4)


def test_a_heat_map_of_one_value_has_the_first_color():
    pixels = decoded(heat_map(np.full((2, 2), 3.0), low=3, high=3))
    np.testing.assert_allclose(pixels, np.broadcast_to(_map_color("viridis", 0), (2, 2, 3)), atol=1)


def test_large_heat_maps_are_averaged():
    values = np.kron(np.array([[0.0, 1.0]]), np.ones((8, 8)))
    pixels = decoded(heat_map(values, low=0, high=1, max_side=2))
    np.testing.assert_allclose(pixels[0, 0], _map_color("viridis", 0.0), atol=1)
    np.testing.assert_allclose(pixels[0, 1], _map_color("viridis", 1.0), atol=1)


def test_an_overlay_adds_the_map_to_the_gray_image():
    image = np.full((4, 4, 1), 100, np.uint8)
    pixels = decoded(overlaid(image, np.full((2, 2), 7.0), max_side=4))
    expected = np.round(0.45 * 100 + 0.55 * _map_color("viridis", 1.0))
    np.testing.assert_allclose(pixels[1, 1], expected, atol=1)
    # A map of zeros, or of NaN, is the first color everywhere.
    for empty in (0.0, np.nan):
        dark = decoded(overlaid(image, np.full((2, 2), empty), max_side=4))
        np.testing.assert_allclose(dark[3, 0], 45 + 0.55 * _map_color("viridis", 0.0), atol=1)


def test_a_large_photograph_is_stored_as_jpeg_unless_it_must_be_exact():
    ramp = np.linspace(0, 255, 200 * 100 * 3).reshape(200, 100, 3).astype(np.uint8)
    exact, lossy = photo(ramp, max_side=200), photo(ramp, max_side=200, exact=False)
    np.testing.assert_array_equal(decoded(exact), ramp)
    head, data = lossy.split(",", 1)
    assert head == "data:image/jpeg;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), int)
    assert np.abs(pixels - ramp).mean() < 2
    np.testing.assert_array_equal(decoded(photo(ramp[:90, :90], exact=False)), ramp[:90, :90])


def test_squares_that_hide_a_pixel_are_averaged():
    # Squares of 2x2, one pixel apart, in an image of 3x4 whose last column none of them reaches.
    found = over_pixels(np.array([[1.0, 2.0], [3.0, 6.0]]), (3, 4), patch=2, stride=1)
    expected = [[1, 1.5, 2, 0], [2, 3, 4, 0], [3, 4.5, 6, 0]]
    np.testing.assert_allclose(found, expected)


def test_a_box_lies_around_its_part():
    pixels = decoded(boxed(np.zeros((8, 8)), (2, 4), (3, 2), side=64)).astype(int)
    white = np.argwhere(pixels.min(axis=-1) > 200)
    # Rows 2 to 4 and columns 4 and 5, at 8 pixels each.
    assert white.min(axis=0).tolist() == [16, 32]
    assert white.max(axis=0).tolist() == [39, 47]
    assert pixels[28, 40].max() < 200


def test_tiles_are_clipped_to_the_range():
    pixels = decoded(color_tile(np.array([[[-1.0], [0.5], [2.0]]])), "L")
    np.testing.assert_array_equal(pixels, [[0, 128, 255]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, -2.0, np.nan], (-2.0, 1.0)),
        ([np.nan, np.inf], (0.0, 1.0)),
        ([], (0.0, 1.0)),
        ([np.inf, 3.0], (3.0, 3.0)),
    ],
)
def test_ranges_are_of_finite_values(values, expected):
    assert value_range(np.array(values)) == expected


def _matrix(counts):
    names = [f"class {i}" for i in range(len(counts))]
    return Matrix(names, np.array(counts), down="truth", across="predicted", unit="images")


def test_cells_of_a_matrix_hold_counts_shares_and_tones():
    drawn = draw_matrix(_matrix([[3, 1, 0], [0, 0, 0], [2, 0, 2]]))
    cells = [row["cells"] for row in drawn["rows"]]
    assert [[cell["count"] for cell in row] for row in cells] == [[3, 1, 0], [0, 0, 0], [2, 0, 2]]
    assert cells[0][1]["title"] == "1 of 4 images: truth class 0, predicted class 1"
    # On the diagonal by the share of the row, elsewhere by the largest mistake.
    assert [cell["tone"] for cell in cells[0]] == [round(15 + 80 * 0.75), 30 + 30, 0]
    assert cells[2][0]["tone"] == 90 and cells[2][2]["tone"] == 55
    assert [cell["tone"] for cell in cells[1]] == [0, 0, 0]
    assert [[cell["equal"] for cell in row] for row in cells] == np.eye(3, dtype=bool).tolist()


def test_a_matrix_without_mistakes_or_of_one_class_is_drawn():
    drawn = draw_matrix(_matrix([[5]]))
    assert drawn["rows"][0]["cells"][0]["tone"] == 95
    assert draw_matrix(_matrix([[0]]))["rows"][0]["cells"][0]["tone"] == 0


def test_a_matrix_of_many_names_is_a_picture_of_the_roots_of_its_shares():
    counts = np.diag(np.full(21, 4)) + 0
    counts[0, :4] = 1
    drawn = draw_matrix(_matrix(counts))
    assert "rows" not in drawn
    pixels = decoded(drawn["picture"])
    assert pixels.shape == (21 * 8, 21 * 8, 3)
    # Row 0 has four shares of 1/4, whose root is 1/2; the other diagonals are 1.
    np.testing.assert_allclose(pixels[4, 12], _map_color("viridis", 0.5), atol=5)
    np.testing.assert_allclose(pixels[12, 12], _map_color("viridis", 1.0), atol=1)
    np.testing.assert_allclose(pixels[12, 4], _map_color("viridis", 0.0), atol=1)
