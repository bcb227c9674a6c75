"""reset_classifier: other classes on the same network."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from tests.models.shapes import drawn, variables_of


def test_everything_but_the_classifiers_is_kept():
    model: Any = models.create_model("googlenet", variant="torchvision", num_classes=6)
    variables = drawn(variables_of(model, (64, 64, 3)))
    new_model, new = models.reset_classifier(model, variables, 3, jax.random.key(0))
    assert new_model == model.clone(num_classes=3)
    heads = [("classifier",), ("aux1", "classifier"), ("aux2", "classifier")]
    for path, leaf in jax.tree_util.tree_leaves_with_path(new["params"]):
        names = tuple(part.key for part in path)
        old = variables["params"]
        for name in names:
            old = old[name]
        if names[:-1] in heads:
            assert leaf.shape == (*old.shape[:-1], 3)
        else:
            assert leaf is old
    assert new["batch_stats"] is variables["batch_stats"]
    images = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
    logits, features = jax.eval_shape(
        lambda v, x: models.apply_with_features(new_model, v, x), new, images
    )
    assert {logits.shape, features["aux1"].shape, features["aux2"].shape} == {(2, 3)}


def test_the_new_classifier_is_drawn_as_at_the_start():
    model: Any = models.create_model("resnet8_cifar")
    variables = drawn(variables_of(model, (32, 32, 3)))
    _, new = models.reset_classifier(model, variables, 4000, jax.random.key(0))
    head = new["params"]["classifier"]
    # He's initialization: a variance of 2 / fan-in.
    assert np.std(head["kernel"]) == pytest.approx(np.sqrt(2 / 64), rel=0.02)
    assert not np.any(head["bias"])


def test_a_classifier_that_is_a_convolution_stays_one():
    model: Any = models.create_model("squeezenet1_1")
    variables = drawn(variables_of(model, (32, 32, 3)))
    new_model, new = models.reset_classifier(model, variables, 7, jax.random.key(0))
    assert new["params"]["classifier"]["kernel"].shape == (1, 1, 512, 7)
    images = jax.ShapeDtypeStruct((2, 40, 32, 3), jnp.float32)
    assert jax.eval_shape(new_model.apply, new, images).shape == (2, 7)


def test_what_cannot_be_reset_is_refused():
    model: Any = models.create_model("lenet5")
    variables = drawn(variables_of(model, (32, 32, 1)))
    with pytest.raises(ValueError, match="num_classes must be an int of at least 1, got 0"):
        models.reset_classifier(model, variables, 0, jax.random.key(0))
    del variables["params"]["classifier"]
    with pytest.raises(ValueError, match=r"no layer 'classifier'; they have .*c1"):
        models.reset_classifier(model, variables, 5, jax.random.key(0))
    with pytest.raises(ValueError, match=r"no collection 'params'; they have batch_stats"):
        models.reset_classifier(model, {"batch_stats": {}}, 5, jax.random.key(0))
    with pytest.raises(TypeError, match="the model is a Dense; expected a network made by"):
        models.reset_classifier(linen.Dense(3), variables, 5, jax.random.key(0))  # pyright: ignore[reportArgumentType]
