"""Several views of the same image, against slices and sums written out in NumPy."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import training
from cnnjax.data import Preprocess
from cnnjax.inference.views import Views
from cnnjax.tasks import Classification, TaskError
from cnnjax.tasks.base import Task

SIZE, CLASSES = 6, 3
PREPROCESS = Preprocess(resize=SIZE, pad=0, mean=(0.4,), std=(0.3,))


class Linear(linen.Module):
    """Logits that depend on every pixel's place: no two views give the same."""

    @linen.compact
    def __call__(self, images, train):
        assert not train
        shape = (SIZE * SIZE, CLASSES)
        return images.reshape(len(images), -1) @ self.param(
            "weights", linen.initializers.ones, shape
        )


WEIGHTS = np.random.default_rng(0).normal(size=(SIZE * SIZE, CLASSES)).astype(np.float32)
VARIABLES = {"params": {"weights": WEIGHTS}}
TASK = Classification(tuple("abc"))


def stored(side, count=4):
    rng = np.random.default_rng(side)
    return rng.integers(0, 256, (count, side, side, 1), dtype=np.uint8)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def logs_of(views, images, preprocess=PREPROCESS, model=None, task: Any = TASK):
    def predict(images):
        return views.predictions(model or Linear(), VARIABLES, task, preprocess, images, SIZE)

    return jax.jit(predict)(images)


def predicted(views, images, preprocess=PREPROCESS):
    return np.exp(logs_of(views, images, preprocess))


def probabilities(images):
    """Of crops of stored images, uint8."""
    inputs = (images.astype(np.float64) / 255 - 0.4) / 0.3
    return softmax(inputs.reshape(len(images), -1) @ WEIGHTS)


def crop(images, top, left):
    return images[:, top : top + SIZE, left : left + SIZE]


def test_the_whole_image_and_its_mirror_image():
    images = stored(SIZE)
    np.testing.assert_allclose(predicted(Views(), images), probabilities(images), rtol=1e-4)
    mean = (probabilities(images) + probabilities(images[:, :, ::-1])) / 2
    np.testing.assert_allclose(predicted(Views(flip=True), images), mean, rtol=1e-4)


def test_the_center_crop_is_in_the_middle():
    # Enlarged to the size that they have.
    images = stored(10)
    found = predicted(Views("center", scales=(10,)), images)
    np.testing.assert_allclose(found, probabilities(crop(images, 2, 2)), rtol=1e-4)


def test_ten_crops_are_corners_and_middle_and_their_mirror_images():
    images = stored(9)
    places = [(0, 0), (0, 3), (3, 0), (3, 3), (1, 1)]
    crops = [crop(images, *place) for place in places]
    crops += [c[:, :, ::-1] for c in crops]
    expected = np.mean([probabilities(c) for c in crops], axis=0)
    np.testing.assert_allclose(predicted(Views("ten", scales=(9,)), images), expected, rtol=1e-4)


def test_scales_are_averaged_and_the_padding_belongs_to_the_image():
    padded = Preprocess(resize=SIZE - 2, pad=1, mean=(0.0,), std=(1.0,))
    images = stored(8)
    found = predicted(Views("center", scales=(6, 10)), images, padded)
    parts = []
    for side in (6, 10):
        unit = jax.image.resize(images / np.float32(255), (4, side - 2, side - 2, 1), "bilinear")
        square = np.pad(np.asarray(unit), ((0, 0), (1, 1), (1, 1), (0, 0)))
        low = (side - SIZE) // 2
        parts.append(softmax(crop(square, low, low).reshape(4, -1) @ WEIGHTS))
    np.testing.assert_allclose(found, np.mean(parts, axis=0), rtol=1e-4)


def test_scales_are_krizhevskys_if_none_are_given():
    assert Views("ten").sides(224) == (256,)
    assert Views("center").sides(28) == (32,)
    assert Views("dense").sides(224) == (224,)
    assert Views("dense", scales=(224, 256, 288)).sides(224) == (224, 256, 288)


def test_an_image_that_is_not_finite_in_one_view_has_no_prediction():
    images = stored(SIZE)

    class Infinite(Linear):
        @linen.compact
        def __call__(self, images, train):
            logits = super().__call__(images, train)
            # The first view's first image.
            return logits.at[0, 0].add(jnp.where(jnp.allclose(images, first), jnp.inf, 0))

    first = PREPROCESS.images(jnp.asarray(images))
    logs = logs_of(Views(flip=True), images, model=Infinite())
    assert np.isnan(logs[0]).all()
    assert np.isfinite(logs[1:]).all()


@pytest.mark.parametrize(
    ("views", "shape", "message"),
    [
        (Views("five"), (8, 8, 1), "crops: 'five' is unknown"),  # type: ignore[arg-type]
        (Views(scales=(8,)), (8, 8, 1), "give crops=center, ten or dense"),
        (Views("ten", flip=True), (8, 8, 1), "leave flip out"),
        (Views("center"), (8, 6, 1), "square images, not 8x6"),
        (Views("dense", scales=(8, 7)), (8, 8, 1), "scales: 7 is less than"),
    ],
    ids=str,
)
def test_views_that_do_not_fit_are_refused(views, shape, message):
    with pytest.raises(training.ConfigError, match=message):
        views.check(shape)


def test_a_task_whose_predictions_cannot_be_joined_takes_one_view_alone():
    images = stored(SIZE)
    whole = logs_of(Views(), images, task=Task())
    inputs = (images.astype(np.float64) / 255 - 0.4) / 0.3
    np.testing.assert_allclose(whole, inputs.reshape(4, -1) @ WEIGHTS, rtol=1e-4, atol=1e-4)
    with pytest.raises(TaskError, match="cannot be joined; give one network"):
        logs_of(Views(flip=True), images, task=Task())


@pytest.mark.parametrize(
    ("views", "text"),
    [
        (Views(flip=True), "the whole image and its mirror image"),
        (Views("ten"), "ten crops of 224 pixels at scale 256"),
        (
            Views("dense", scales=(224, 256), flip=True),
            "all positions of a window of 224 pixels at scale 224, 256, each mirrored too",
        ),
    ],
)
def test_views_are_described(views, text):
    assert views.describe(224) == text
