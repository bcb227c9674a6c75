import numpy as np
import pytest

from cnnjax.data.read.framing import ASPECTS, Framing


def ramp(height: int, width: int) -> np.ndarray:
    """An image whose first channel is the row, and whose second is the column."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)


def cut_of(square: np.ndarray) -> tuple[float, float, float, float]:
    """Top, left, bottom and right of the box of a ramp that a square shows, by its corners."""
    top, left = square[0, 0, :2].astype(float)
    bottom, right = square[-1, -1, :2].astype(float)
    return top, left, bottom, right


def generators(count: int):
    return [np.random.default_rng([7, number]) for number in range(count)]


def test_evaluation_shows_the_central_square_at_full_size():
    # The shorter side keeps its length: the cut is a slice of the image.
    square = Framing(100, 80).evaluate(ramp(100, 150))
    np.testing.assert_array_equal(square, ramp(100, 150)[10:90, 35:115])


@pytest.mark.parametrize(("height", "width"), [(120, 200), (240, 120), (60, 60)])
def test_evaluation_cuts_crop_over_short_side_of_the_shorter_side(height, width):
    square = Framing(64, 56).evaluate(ramp(height, width))
    side = min(height, width) * 56 / 64
    expected = ((height - side) / 2, (width - side) / 2, (height + side) / 2, (width + side) / 2)
    assert square.shape == (56, 56, 3)
    # Rounding to whole pixels, and half an output pixel at each edge.
    np.testing.assert_allclose(cut_of(square), expected, atol=1.5 + side / 56)


def test_training_cuts_squares_everywhere():
    framing, image = Framing(50, 40), ramp(100, 150)
    corners = np.array([cut_of(framing.train(image, g))[:2] for g in generators(300)])
    # The cut has 80 pixels: tops are 0 to 20, lefts 0 to 70.
    assert corners.min() < 4
    assert 16 < corners[:, 0].max() <= 21
    assert 62 < corners[:, 1].max() <= 71
    np.testing.assert_allclose(corners.mean(axis=0), (10.5, 35.5), atol=3.5)


def test_scale_jitter_draws_every_length_between_its_bounds():
    framing, image = Framing(64, 32, short_sides=(40, 80)), ramp(200, 200)
    sides = []
    for generator in generators(200):
        top, left, bottom, right = cut_of(framing.train(image, generator))
        assert bottom - top == pytest.approx(right - left, abs=3)
        sides.append(bottom - top)
    # 32 of 80 and of 40 pixels, over 200: 80 to 160, less what the edge pixels average over.
    assert 72 < min(sides) < 82
    assert 145 < max(sides) <= 160


def test_areas_draw_shares_and_aspects_between_their_bounds():
    framing, image = Framing(64, 32, areas=(0.2, 0.6)), ramp(200, 250)
    shares, aspects = [], []
    for generator in generators(300):
        top, left, bottom, right = cut_of(framing.train(image, generator))
        # Corner pixels show the middle of the pixels that they average over.
        height, width = (bottom - top) * 32 / 31, (right - left) * 32 / 31
        shares.append(height * width / (200 * 250))
        aspects.append(width / height)
    assert 0.17 < min(shares) < 0.25
    assert 0.52 < max(shares) < 0.64
    assert ASPECTS[0] * 0.95 < min(aspects) < 0.8
    assert 1.25 < max(aspects) < ASPECTS[1] * 1.05


def test_a_strip_is_cut_in_its_middle_where_no_area_fits():
    square = Framing(16, 16, areas=(0.9, 1.0)).train(ramp(20, 200), np.random.default_rng(0))
    top, left, bottom, right = cut_of(square)
    assert (top, bottom) == (pytest.approx(0, abs=1), pytest.approx(19, abs=1))
    assert left == pytest.approx(100 - 20 * ASPECTS[1] / 2, abs=2)
    assert right == pytest.approx(100 + 20 * ASPECTS[1] / 2, abs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": 65}, r"crop: 65 does not fit into a shorter side of 64"),
        ({"crop": 0}, r"crop: 0 does not fit"),
        ({"short_sides": (30, 80)}, r"short_sides: \(30, 80\) are not two rising lengths from"),
        ({"areas": (0.5, 1.5)}, r"areas: \(0.5, 1.5\) are not two rising shares"),
        ({"areas": (0.5, 1), "short_sides": (40, 50)}, r"were both given"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Framing(**{"short_side": 64, "crop": 32, **arguments})
