import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from cnnjax import data


def test_resizing_agrees_with_pillow():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 8), dtype=np.uint8)
    ours = data.Preprocess(28, 0, (0.0,), (1.0,)).images(image[None, :, :, None])
    float_image = Image.fromarray(image.astype(np.float32), mode=None)
    theirs = np.asarray(float_image.resize((28, 28), Image.Resampling.BILINEAR)) / 255
    np.testing.assert_allclose(ours[0, :, :, 0], theirs, atol=1e-6)


def test_padding_is_black_and_outside_the_image():
    images = np.full((2, 4, 4, 3), 255, np.uint8)
    padded = data.Preprocess(None, 2, (0.0,) * 3, (1.0,) * 3).images(images)
    assert padded.shape == (2, 8, 8, 3)
    assert float(padded.sum()) == pytest.approx(2 * 4 * 4 * 3)
    assert float(padded[:, 2:6, 2:6].sum()) == pytest.approx(2 * 4 * 4 * 3)


def test_normalizing_gives_zero_mean_and_unit_deviation_per_channel():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 6, 6, 3), dtype=np.uint8)
    unit = images / 255
    mean = tuple(unit.mean(axis=(0, 1, 2)))
    std = tuple(unit.std(axis=(0, 1, 2)))
    x = np.asarray(data.Preprocess(None, 0, mean, std).images(images), np.float64)
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1, atol=1e-6)


def test_image_shape_is_that_of_the_result():
    preprocess = data.Preprocess(28, 2, (0.0,), (1.0,))
    images = np.zeros((1, 8, 8, 1), np.uint8)
    assert preprocess.images(images).shape[1:] == preprocess.image_shape((8, 8, 1)) == (32, 32, 1)


def test_each_image_gets_a_mean_of_zero_and_a_deviation_of_one():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3)).astype(np.uint8)
    images[2] = 90  # plain: there is no contrast to normalize
    preprocess = data.Preprocess(None, 0, (0.5,) * 3, (0.1,) * 3, per_image=True)
    result = np.asarray(preprocess.images(images))
    np.testing.assert_allclose(result[:2].mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(result[:2].std(axis=(1, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_allclose(result[2], 0, atol=1e-4)


def test_nothing_is_done_by_default_but_scaling():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 2)).astype(np.uint8)
    scaled = data.Preprocess().images(images)
    np.testing.assert_allclose(scaled, images / 255, rtol=2e-7)
    floats = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(data.Preprocess().images(floats), floats)


def test_one_value_normalizes_all_channels_alike():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3)).astype(np.uint8)
    one, three = (data.Preprocess(mean=(0.4,) * n, std=(0.2,) * n).images(images) for n in (1, 3))
    np.testing.assert_array_equal(one, three)
    with pytest.raises(ValueError, match=r"mean: .* has 2 values, but the images have 3 channels"):
        data.Preprocess(mean=(0.4,) * 2).images(images)


KINDS: dict[str, data.Kind] = {
    "image": "image",
    "mask": "mask",
    "boxes": "boxes",
    "points": "points",
    "label": "label",
}


def test_what_belongs_to_an_image_is_moved_along():
    # A white rectangle, with its mask, its box and its corners.
    image = np.zeros((1, 8, 4, 1), np.uint8)
    image[0, 2:6, 1:3] = 255
    parts = {
        "image": jnp.asarray(image),
        "mask": jnp.asarray(image[..., 0] // 255),
        "boxes": jnp.array([[[2.0, 1.0, 6.0, 3.0]]]),
        "points": jnp.array([[[2.0, 1.0], [6.0, 3.0]]]),
        "label": jnp.array([3]),
        "weight": jnp.array([1.0]),
    }
    moved = data.Preprocess(resize=16, pad=3).to_unit(parts, KINDS)
    assert moved["image"].shape == (1, 22, 22, 1)
    assert moved["mask"].shape == (1, 22, 22)
    mask = np.asarray(moved["mask"][0])
    # Rows are doubled and columns four times as many, and then comes the margin.
    expected = np.full((22, 22), 255)
    expected[3:19, 3:19] = 0
    expected[3 + 4 : 3 + 12, 3 + 4 : 3 + 12] = 1
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_allclose(moved["boxes"], [[[7, 7, 15, 15]]])
    np.testing.assert_allclose(moved["points"], [[[7, 7], [15, 15]]])
    assert moved["label"] is parts["label"]
    assert moved["weight"] is parts["weight"]


def test_only_images_are_normalized():
    parts = {"image": jnp.ones((1, 2, 2, 1)), "mask": jnp.ones((1, 2, 2), jnp.uint8)}
    preprocess = data.Preprocess(mean=(0.5,), std=(0.25,))
    kinds: dict[str, data.Kind] = {"image": "image", "mask": "mask"}
    found = preprocess(parts, kinds)
    np.testing.assert_array_equal(found["image"], np.full((1, 2, 2, 1), 2))
    assert found["mask"] is not None
    np.testing.assert_array_equal(found["mask"], parts["mask"])
    alone = preprocess({"image": parts["image"]}, {"image": "image"})
    np.testing.assert_array_equal(alone["image"], found["image"])
    np.testing.assert_array_equal(
        preprocess.images(np.ones((1, 2, 2, 1), np.float32)), alone["image"]
    )


def test_points_without_an_image_are_not_scaled():
    points = jnp.array([[[1.0, 2.0]]])
    kinds: dict[str, data.Kind] = {"points": "points"}
    found = data.Preprocess(resize=8, pad=1).to_unit({"points": points}, kinds)
    assert found["points"] is points


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resize": 0}, r"resize: 0 was given"),
        ({"pad": -1}, r"pad: -1 was given"),
        ({"std": (0.0,)}, r"mean \(0.0,\) and std \(0.0,\) were given"),
        ({"mean": ()}, r"mean \(\) and std"),
    ],
)
def test_numbers_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.Preprocess(**arguments)


def test_empty_rows_stay_empty_where_images_are_padded():
    stored = {
        "image": jnp.zeros((1, 8, 8, 3), jnp.uint8),
        "points": jnp.array([[[3.0, 4.0], [0.0, 0.0]]]),
        "boxes": jnp.array([[[0.0, 0.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0]]]),
    }
    kinds: dict[str, data.Kind] = {"image": "image", "points": "points", "boxes": "boxes"}
    unit = data.Preprocess(None, 2).to_unit(stored, kinds)
    assert unit["points"].tolist() == [[[5, 6], [0, 0]]]
    assert unit["boxes"].tolist() == [[[2, 2, 4, 5], [0, 0, 0, 0]]]
