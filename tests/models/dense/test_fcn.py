"""FCN on any encoder: scores of several strides, enlarged and added; and dilation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from tests.helpers.programs import quickly
from tests.models.shapes import drawn, size, variables_of

SMALL: dict[str, Any] = {
    "encoder": "simple_cnn",
    "encoder_fields": {"widths": (3, 4, 5)},
    "hidden": (),
}


def test_parameters_are_vgg16s_and_those_of_the_scores():
    """VGG-16's convolutions and two dense layers, 1x1 scores, and 4x4 kernels of all classes."""
    info: Any = models.model_info("vgg16")
    vgg = info.parameters - (4096 * 1000 + 1000)
    scores = {"fcn32s": (4096,), "fcn16s": (4096, 512), "fcn8s": (4096, 512, 256)}
    for name, channels in scores.items():
        count = sum(21 * (c + 1) for c in channels) + (len(channels) - 1) * 16 * 21 * 21
        assert models.model_info(name).parameters == vgg + count
    assert 15_000_000 > vgg - (25088 + 1) * 4096 - (4096 + 1) * 4096 == 14_714_688


def linear(length, factor):
    """The matrix of linear interpolation between centers, rows of the result."""
    place = np.clip((np.arange(length * factor) + 0.5) / factor - 0.5, 0, length - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(length)), 0)


def enlarged(x, factor):
    rows, columns = (linear(n, factor) for n in x.shape[1:3])
    return np.einsum("ri,cj,nijk->nrck", rows, columns, x)


def scored(x, layer):
    return np.asarray(x) @ np.asarray(layer["kernel"])[0, 0] + np.asarray(layer["bias"])


@pytest.mark.parametrize("stride", [pytest.param(8, marks=pytest.mark.slow), 2])
def test_finer_scores_are_added_to_enlarged_coarser_ones(stride):
    net = models.create_model("fcn32s", 3, output_stride=stride, upsampling="bilinear", **SMALL)
    variables = drawn(variables_of(net, (16, 24, 3)))
    images = jax.random.normal(jax.random.key(0), (1, 16, 24, 3))

    @quickly
    def run(variables, images):
        return models.apply_with_features(net, variables, images)

    logits, features = run(variables, images)
    params = variables["params"]
    expected = scored(features["stride8"], params["classifier"])
    for finer in (4, 2):
        if finer >= stride:
            own = scored(features[f"stride{finer}"], params[f"classifier{finer}"])
            expected = enlarged(expected, 2) + own
            np.testing.assert_allclose(features[f"scores{finer}"], expected, atol=1e-4)
    np.testing.assert_allclose(logits, enlarged(expected, stride), atol=1e-4)
    assert (
        net.classifiers
        == ("classifier", "classifier4", "classifier2")[: 4 - stride.bit_length() + 1]
    )


@pytest.mark.slow
def test_learned_enlargement_starts_as_interpolation():
    fields = {**SMALL, "output_stride": 4, "learned_last": True, "initialization": "he"}
    learned = models.create_model("fcn32s", 3, **fields)
    fixed = learned.clone(upsampling="bilinear")
    images = jax.random.normal(jax.random.key(0), (1, 64, 64, 3))
    variables = drawn(variables_of(learned, (64, 64, 3)))
    start = jax.eval_shape(learned.init, jax.random.key(0), images)["params"]
    assert {name: start[name]["kernel"].shape for name in ("up4", "up1")} == {
        "up4": (4, 4, 3, 3),
        "up1": (8, 8, 3, 3),
    }
    own = {
        name: {"kernel": models_bilinear(start[name]["kernel"].shape)} for name in ("up4", "up1")
    }
    params = {**variables["params"], **own}
    got = quickly(learned.apply)({**variables, "params": params}, images)
    bare = {k: v for k, v in params.items() if not k.startswith("up")}
    expected = quickly(fixed.apply)({**variables, "params": bare}, images)
    # Beyond the image there are zeros for one and the outermost values for the other.
    inside = (slice(None), slice(16, -16), slice(16, -16))
    np.testing.assert_allclose(got[inside], expected[inside], atol=1e-4)


def models_bilinear(shape):
    """A separable triangle for each class, nothing between classes."""
    side = shape[0]
    triangle = 1 - np.abs(np.arange(side) - (side - 1) / 2) / (side / 2)
    return jnp.asarray(np.einsum("a,b,io->abio", triangle, triangle, np.eye(shape[2])), jnp.float32)


def test_the_papers_scores_start_at_zero():
    net = models.create_model("fcn32s")
    kernel = net.initializers.classifier(jax.random.key(0), (1, 1, 8, 21))
    assert kernel.shape == (1, 1, 8, 21) and not np.any(kernel)


def test_new_classes_reset_the_scores_and_the_learned_enlargements():
    net: Any = models.create_model("fcn32s", 3, **{**SMALL, "output_stride": 4})
    variables = drawn(variables_of(net, (16, 16, 3)))
    new: Any
    new, reset = models.reset_classifier(net, variables, 5, jax.random.key(0))
    assert size(reset) == size(variables_of(new, (16, 16, 3)))
    np.testing.assert_allclose(reset["params"]["up4"]["kernel"], models_bilinear((4, 4, 5, 5)))
    assert reset["params"]["encoder"] is variables["params"]["encoder"]
    images = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    assert jax.eval_shape(new.apply, reset, images).shape == (1, 16, 16, 5)


def test_dilated_maps_are_the_strided_ones_and_those_between():
    """At every second or fourth unit, both nets see the same pixels through the same kernels."""
    form: dict[str, Any] = {"blocks": (1, 1, 1, 2), "widths": (2, 2, 3, 4), "bottleneck": True}
    strided: Any = models.encoder("resnet18", **form)
    dilated: Any = models.encoder("resnet18", output_stride=8, **form)
    assert (strided.strides, dilated.strides) == ((2, 4, 8, 16, 32), (2, 4, 8))
    images = jax.random.normal(jax.random.key(0), (1, 64, 96, 3))
    variables = drawn(variables_of(strided, (64, 96, 3)))
    assert variables_of(strided, (64, 96, 3)) == variables_of(dilated, (64, 96, 3))

    @quickly
    def both(variables, images):
        return [e.apply(variables, images, method="named") for e in (strided, dilated)]

    coarse, fine = both(variables, images)
    for name, step in (("stage2", 1), ("stage3", 2), ("stage4", 4)):
        assert fine[name].shape[1:3] == (8, 12)
        np.testing.assert_allclose(
            fine[name][:, ::step, ::step], coarse[name], atol=1e-4 * np.abs(coarse[name]).max()
        )


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("fcn8s", {"encoder": "resnet20_cifar"}, r"one of \(1, 2, 4\), got 8"),
        ("fcn8s", {"upsampling": "max_unpool"}, "upsampling must be one of"),
        ("fcn8s", {"encoder": None}, "encoder must be a network's name"),
        ("fcn_resnet50", {"encoder": "vgg16"}, "encoder must be a ResNet"),
        ("fcn_resnet50", {"output_stride": 12}, "a power of two from 4 on, such as 8, got 12"),
        ("fcn_resnet50", {"encoder_fields": {"blocks": (1,), "widths": (4,)}}, "aux_heads=False"),
        ("resnet18", {"output_stride": 2}, "output_stride must be None or a power of two"),
        (
            "segnet",
            {
                "encoder": "simple_cnn",
                "encoder_fields": {"pooling": "none"},
                "upsampling": "nearest",
            },
            "must make its maps smaller",
        ),
        ("segnet", {"encoder": "resnet18"}, "of stride 2, 8, 16, 32 were not; use a VGG"),
    ],
)
def test_what_does_not_fit_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        models.create_model(name, **settings)


def test_sides_that_are_no_multiples_of_the_stride_are_refused():
    net = models.create_model("fcn8s")
    with pytest.raises(ValueError, match=r"multiples of 32, .* got 500x375; .* 480x352 or 512x384"):
        net.init(jax.random.key(0), jnp.zeros((1, 500, 375, 3)))
