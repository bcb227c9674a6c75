import pytest

from cnnjax import data
from cnnjax.recipes.framing import make_framing
from cnnjax.recipes.schema import DataConfig


def framing_of(shape=None, **section):
    dataset = data.Dataset("photographs", shape, ("a", "b"), {"train": 4}, (0.5,), (0.2,), "a test")
    return make_framing(DataConfig(**section), dataset)


def test_photographs_get_a_square_of_the_crop():
    assert framing_of(resize=20) == data.Framing(20, 20)
    areas = framing_of(resize=20, crop=16, crop_areas=(0.3, 1.0))
    assert areas == data.Framing(20, 16, areas=(0.3, 1.0))
    sides = framing_of(resize=20, crop=16, crop_short_sides=(18, 24))
    assert sides == data.Framing(20, 16, short_sides=(18, 24))


def test_images_of_one_size_are_not_framed():
    assert framing_of((8, 8, 3), resize=4) is None


@pytest.mark.parametrize(
    ("shape", "section", "message"),
    [
        (None, {}, r"data\.resize: the images of photographs have many sizes; give the length"),
        (None, {"resize": 8, "crop": 9}, r"data\.crop: crop: 9 does not fit"),
        (None, {"resize": 8, "crop_areas": (0.5,)}, r"crop_areas: \(0\.5,\) was given; give two"),
        ((8, 8, 3), {"crop": 4}, r"data\.crop: only for photographs of many sizes"),
        (
            (8, 8, 3),
            {"crop_areas": (0.5, 1.0), "crop": 4},
            r"data\.crop, data\.crop_areas: .* photographs have one size",
        ),
    ],
)
def test_keys_that_do_not_fit_the_images_are_refused(shape, section, message):
    with pytest.raises(ValueError, match=message):
        framing_of(shape, **section)
