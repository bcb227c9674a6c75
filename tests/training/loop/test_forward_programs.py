"""Evaluations, and predictions of many images, are programs without gradients."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.ops.conv import onednn
from cnnjax.training.loop.evaluation import one_device
from cnnjax.training.loop.prediction import MANY, compile_prediction


@pytest.mark.parametrize("images", [MANY - 1, MANY])
def test_predictions_of_many_images_call_onednn_where_it_is(images):
    seen = []

    @compile_prediction
    def means(scale, batch):
        seen.append(onednn.in_use())
        return scale * batch.mean(axis=(1, 2, 3))

    found = means(jnp.float32(2), jnp.ones((images, 4, 4, 1)))
    np.testing.assert_array_equal(found, np.full(images, 2.0))
    assert seen == [images >= MANY and onednn.is_there()]


def test_evaluations_call_onednn_where_it_is():
    seen = []

    def total(batch):
        seen.append(onednn.in_use())
        return {"sum": batch.sum()}, {}

    assert one_device().compile_evaluation(total)(jnp.arange(4.0))[0]["sum"] == 6
    assert seen == [onednn.is_there()]
