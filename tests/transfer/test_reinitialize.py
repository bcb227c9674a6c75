"""Networks whose last layers start anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, nn, transfer


def test_layers_from_one_on_are_fresh_with_their_statistics():
    model = models.create_model("resnet8_cifar", 10)
    fresh = jax.jit(lambda key: nn.init_network(model, key, jnp.zeros((1, 8, 8, 1))))(
        jax.random.key(7)
    )
    trained = jax.tree.map(lambda x: x + 1, fresh)
    new = transfer.reinitialize(model, trained, "stage2", jax.random.key(7), (8, 8, 1))
    kept = {"conv1", "bn1", "stage1_block1"}
    for collection, layers in new.items():
        for layer in layers:
            expected = (trained if layer in kept else fresh)[collection][layer]
            jax.tree.map(np.testing.assert_array_equal, layers[layer], expected)


def test_an_unknown_layer_is_refused():
    model = models.create_model("resnet8_cifar", 10)
    with pytest.raises(ValueError, match="'stag3_block1' is no layer of the network; did you mean"):
        transfer.reinitialize(model, {}, "stag3_block1", jax.random.key(0), (8, 8, 1))
