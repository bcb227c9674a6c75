"""Named features with stride and channels, as in the papers' tables."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models

# Name, settings, and the last feature of each size: name, size, channels, stride.
GRIDS = [
    ("lenet5", {}, [("c1", 28, 6, 1), ("s2", 14, 6, 2), ("c3", 10, 16, 2), ("s4", 5, 16, 4)]),
    ("lenet_1989", {}, [("h1", 8, 12, 2), ("h2", 4, 12, 4)]),
    (
        "alexnet",
        {},
        [
            ("conv1", 55, 96, 4),
            ("conv2", 27, 256, 8),
            ("conv5", 13, 256, 16),
            ("pool5", 6, 256, 32),
        ],
    ),
    (
        "zfnet_512",
        {},
        [
            ("conv1", 110, 96, 2),
            ("pool1", 55, 96, 4),
            ("conv2", 26, 256, 8),
            ("conv4", 13, 1024, 16),
        ],
    ),
    ("vgg11", {}, [("block1", 112, 64, 2), ("block3", 28, 256, 8), ("block5", 7, 512, 32)]),
    (
        "googlenet",
        {},
        [("conv1", 112, 64, 2), ("conv2", 56, 192, 4), ("3b", 28, 480, 8), ("5b", 7, 1024, 32)],
    ),
    (
        "inception_v3",
        {},
        [
            ("conv2b", 147, 64, 2),
            ("conv4a", 71, 192, 4),
            ("5b", 35, 256, 8),
            ("5d", 35, 288, 8),
            ("6e", 17, 768, 16),
            ("7a", 8, 1280, 32),
            ("7c", 8, 2048, 32),
        ],
    ),
    ("resnet18", {}, [("stem", 112, 64, 2), ("stage1", 56, 64, 4), ("stage4", 7, 512, 32)]),
    ("resnet50", {}, [("stage1", 56, 256, 4), ("stage2", 28, 512, 8), ("stage4", 7, 2048, 32)]),
    ("resnet20_cifar", {}, [("stem", 32, 16, 1), ("stage2", 16, 32, 2), ("stage3", 8, 64, 4)]),
    ("preact_resnet11_cifar", {}, [("stage1", 32, 64, 1), ("stage3", 8, 256, 4)]),
    ("wrn16_4", {}, [("stage1", 32, 64, 1), ("stage3", 8, 256, 4)]),
    # Huang et al., 2017, table 1.
    (
        "densenet121",
        {},
        [
            *(("stem", 112, 64, 2), ("block1", 56, 256, 4), ("block2", 28, 512, 8)),
            *(("block3", 14, 1024, 16), ("block4", 7, 1024, 32)),
        ],
    ),
    ("densenet_bc16_12_cifar", {}, [("stem", 32, 24, 1), ("block3", 8, 48, 4)]),
    # Sandler et al., 2018, table 2.
    (
        "mobilenet_v2",
        {},
        [
            *(("stem", 112, 32, 2), ("stage1", 112, 16, 2), ("stage2", 56, 24, 4)),
            *(("stage3", 28, 32, 8), ("stage4", 14, 64, 16), ("stage5", 14, 96, 16)),
            *(("stage6", 7, 160, 32), ("stage7", 7, 320, 32), ("last", 7, 1280, 32)),
        ],
    ),
    # Iandola et al., 2016, table 1, at the 227x227 that its maps need.
    (
        "squeezenet1_0",
        {"input_size": (227, 227, 3)},
        [
            *(("conv1", 111, 96, 2), ("fire2", 55, 128, 4), ("fire4", 55, 256, 4)),
            *(("fire5", 27, 256, 8), ("fire8", 27, 512, 8), ("fire9", 13, 512, 16)),
            ("scores", 13, 1000, 16),
        ],
    ),
    ("fractalnet20", {}, [("block1", 16, 64, 2), ("block5", 1, 512, 32)]),
    ("fractalnet34", {}, [("block1", 28, 128, 8), ("block4", 7, 1024, 32)]),
]


# Traced for seconds.
SLOW = ("densenet121",)
CASES = [
    pytest.param(*row, id=row[0], marks=[pytest.mark.slow] if row[0] in SLOW else [])
    for row in GRIDS
]


@pytest.mark.parametrize(("name", "settings", "expected"), CASES)
def test_grids_channels_and_strides_are_the_papers(name, settings, expected):
    settings = dict(settings)
    input_size = settings.pop("input_size", models.model_info(name).input_size)
    model: Any = models.create_model(name, **settings)
    found = {f.name: f for f in models.feature_info(model, input_size)}
    for feature, size, channels, stride in expected:
        info = found[feature]
        assert (info.shape, info.channels, info.stride) == (
            (size, size, channels),
            channels,
            stride,
        ), feature


def test_vectors_have_no_stride():
    model: Any = models.create_model("resnet8_cifar")
    (*_, last) = models.feature_info(model, (32, 32, 3))
    assert (last.name, last.shape, last.stride) == ("pooled", (64,), None)


def test_features_come_with_the_logits_of_apply():
    model: Any = models.create_model("lenet5")
    images = jax.random.normal(jax.random.key(0), (2, 32, 32, 1))
    variables = model.init(jax.random.key(1), images)
    assert set(variables) == {"params"}
    logits, features = models.apply_with_features(model, variables, images)
    np.testing.assert_array_equal(logits, model.apply(variables, images))
    assert list(features) == ["c1", "s2", "c3", "s4", "c5", "f6"]
    head = variables["params"]["classifier"]
    np.testing.assert_allclose(
        logits, features["f6"] @ head["kernel"] + head["bias"][None], atol=1e-5
    )


def test_auxiliary_logits_are_features_where_the_variables_have_the_heads():
    model: Any = models.create_model("googlenet", num_classes=5)
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)

    def names(model, variables):
        apply = models.apply_with_features
        return set(jax.eval_shape(lambda v, x: apply(model, v, x)[1], variables, images))

    assert {"aux1", "aux2"} <= names(model, variables)
    bare = {"params": {k: v for k, v in variables["params"].items() if not k.startswith("aux")}}
    assert not {"aux1", "aux2"} & names(model, bare)
    assert not {"aux1", "aux2"} & names(model.clone(aux_heads=False), variables)
