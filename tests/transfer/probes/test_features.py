"""Features of many examples, in memory and on the disk."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data, models, transfer
from cnnjax.transfer.probes import features as features_file


@pytest.fixture(scope="module")
def network() -> tuple[Any, Any, Any]:
    """A network with five images."""
    model = models.create_model("resnet8_cifar", 10)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    return model, variables, data.from_arrays(image=images)


PREPROCESS = data.Preprocess(mean=(0.5,), std=(0.25,))


def test_features_are_those_of_the_layer_in_evaluation(network):
    model, variables, examples = network
    inputs = (examples.arrays["image"] / np.float32(255) - 0.5) / 0.25
    logits, found = models.apply_with_features(model, variables, jnp.asarray(inputs))
    maps = np.asarray(found["stage2"], np.float64)
    expected = {
        ("stage2", "mean"): maps.mean((1, 2)),
        ("stage2", "max"): maps.max((1, 2)),
        ("stage2", "flatten"): maps.reshape(5, -1),
        ("logits", "mean"): logits,
    }
    for (layer, pooling), values in expected.items():
        # Batches of 2: the last one is filled up.
        made = transfer.layer_features(
            network[0],
            network[1],
            network[2],
            layer,
            preprocess=PREPROCESS,
            pooling=pooling,
            batch_size=2,
        )
        assert made.dtype == np.float32
        np.testing.assert_allclose(made, values, rtol=1e-4, atol=1e-5)


def test_kept_features_are_read_again_and_others_are_not_taken_for_them(
    network, tmp_path, monkeypatch
):
    model, variables, examples = network
    first = transfer.layer_features(model, variables, examples, "stage1", folder=tmp_path)
    assert len(list(tmp_path.glob("stage1-*.npy"))) == 1

    def computed(*arguments):
        raise AssertionError("computed again")

    monkeypatch.setattr(features_file, "predict_all", computed)
    again = transfer.layer_features(model, variables, examples, "stage1", folder=tmp_path)
    np.testing.assert_array_equal(first, again)
    changed = jax.tree.map(lambda x: x * 2, variables)
    few = data.choose(examples, [0, 1])
    for arguments in (
        (model, changed, examples, "stage1"),
        (model, variables, few, "stage1"),
        (model, variables, examples, "stage2"),
    ):
        with pytest.raises(AssertionError, match="computed again"):
            transfer.layer_features(*arguments, folder=tmp_path)
    with pytest.raises(AssertionError, match="computed again"):
        transfer.layer_features(
            model, variables, examples, "stage1", folder=tmp_path, preprocess=PREPROCESS
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "stag2"}, "layer: 'stag2' is unknown; did you mean stage2"),
        ({"layer": "x"}, "there are stem.*logits"),
        ({"pooling": "sum"}, "pooling: 'sum' is unknown; give one of mean, max, flatten"),
        ({"examples": data.from_arrays(label=np.arange(3))}, "examples: they have no image"),
        ({"model": 3}, "model: int has no named features"),
    ],
)
def test_wrong_arguments_are_refused(network, changes, message):
    model, variables, examples = network
    given = {"model": model, "variables": variables, "examples": examples, "layer": "logits"}
    with pytest.raises(ValueError, match=message):
        transfer.layer_features(**{**given, **changes})
