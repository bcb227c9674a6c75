"""State dicts in PyTorch's layout give the logits that PyTorch's definitions give."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from cnnjax import models
from cnnjax.models.mobilenet_v2 import BlockRow
from cnnjax.models.vgg import VGG
from tests.models import torch_compact, torch_dense, torch_forward
from tests.models.shapes import drawn

GENERATOR = np.random.default_rng(0)

# Small networks of each family: name, variant, overrides, the definition, its arguments, size.
SMALL = {
    "alexnet": ("alexnet", {"hidden": (8, 6)}, torch_forward.alexnet, {}, (67, 83)),
    "vgg": (
        "vgg11",
        {"blocks": ((3,), (3, 3)), "widths": (6, 10), "hidden": (8, 6)},
        torch_forward.vgg,
        {},
        (37, 30),
    ),
    "vgg_bn": (
        "vgg11_bn",
        {"blocks": ((3, 3), (3,)), "widths": (6, 10), "hidden": (8, 6)},
        torch_forward.vgg,
        {},
        (28, 28),
    ),
    "resnet, basic blocks": (
        "resnet18",
        {"blocks": (1, 2, 1, 1), "widths": (64, 8, 8, 16)},
        torch_forward.resnet,
        {},
        (33, 46),
    ),
    "resnext": (
        "resnext50_32x4d",
        {"blocks": (2, 1, 1, 1), "widths": (16, 16, 32, 32)},
        torch_forward.resnet,
        {"groups": 32},
        (33, 46),
    ),
    "densenet": (
        "densenet121",
        {"blocks": (2, 1, 3), "growth": 6, "stem_width": 10},
        torch_compact.densenet,
        {},
        (46, 37),
    ),
    "mobilenet_v2": (
        "mobilenet_v2_050",
        {"rows": (BlockRow(1, 16, 1, 1), BlockRow(6, 24, 2, 2), BlockRow(3, 24, 1, 1))},
        torch_compact.mobilenet_v2,
        {"strides": (1, 2, 1, 1)},
        (33, 46),
    ),
    "squeezenet1_0": ("squeezenet1_0", {}, torch_compact.squeezenet, {}, (46, 37)),
    "fcn_resnet50": (
        "fcn_resnet50",
        {"encoder_fields": {"blocks": (1, 1, 1, 2), "widths": (2, 2, 2, 4)}},
        torch_dense.fcn_resnet,
        {},
        (49, 78),
    ),
}
LARGE = {
    "squeezenet1_1": ("squeezenet1_1", {}, torch_compact.squeezenet, {}, (33, 46)),
    "googlenet": ("googlenet", {}, torch_forward.googlenet, {}, (65, 79)),
    "inception_v3": (
        "inception_v3",
        {"aux_heads": False},
        torch_forward.inception_v3,
        {},
        (75, 91),
    ),
}


def logits_of(model, variables, images):
    """The logits, then those of auxiliary heads."""
    apply = jax.jit(lambda v, x: models.apply_with_features(model, v, x))
    logits, features = apply(variables, jnp.asarray(images.transpose(0, 2, 3, 1), jnp.float32))
    return [logits, *(features[name] for name in ("aux1", "aux2") if name in features)]


def assert_close(got, expected):
    expected = expected if isinstance(expected, tuple) else (expected,)
    for ours, theirs in zip(got, expected, strict=True):
        # Ours of each pixel have the classes last.
        ours = np.asarray(ours)
        ours = ours.transpose(0, 3, 1, 2) if ours.ndim == 4 else ours
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def random_variables(model, size):
    images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    return drawn(jax.eval_shape(model.init, jax.random.key(0), images))


@pytest.mark.parametrize(
    ("name", "overrides", "definition", "arguments", "size"),
    [
        *(pytest.param(*case, id=name) for name, case in SMALL.items()),
        *(pytest.param(*case, id=name, marks=pytest.mark.slow) for name, case in LARGE.items()),
    ],
)
def test_exported_and_loaded_weights_give_torchvisions_logits(
    name, overrides, definition, arguments, size, tmp_path
):
    model: Any = models.create_model(name, 5, variant="torchvision", **overrides)
    variables = random_variables(model, size)
    path = tmp_path / "weights.safetensors"
    models.export_torchvision(model, variables, path)
    images = GENERATOR.normal(size=(2, 3, *size))
    expected = definition(safetensors.numpy.load_file(path), images, **arguments)
    assert_close(logits_of(model, variables, images), expected)
    loaded = models.load_pretrained(model, path)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(loaded))


def random_state(shapes):
    """A state dict: He-normal weights, batch norms near one."""
    state = {}
    for name, shape in shapes.items():
        values = GENERATOR.normal(size=shape)
        if len(shape) > 1:
            values *= np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith(("running_var", "weight")):
            values = 1 + 0.3 * np.abs(values)
        state[name] = values.astype(np.float32)
    return state


def norm_shapes(name, channels):
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{leaf}": (channels,) for leaf in leaves}


def resnetv2_shapes(blocks, widths, classes):
    """timm's resnetv2 with bottlenecks, as its definition makes it."""
    shapes, channels = {"stem.conv.weight": (64, 3, 7, 7)}, 64
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        for block in range(count):
            name = f"stages.{stage}.blocks.{block}"
            if block == 0:
                shapes[f"{name}.downsample.conv.weight"] = (4 * width, channels, 1, 1)
            shapes |= norm_shapes(f"{name}.norm1", channels)
            shapes[f"{name}.conv1.weight"] = (width, channels, 1, 1)
            shapes |= norm_shapes(f"{name}.norm2", width)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes |= norm_shapes(f"{name}.norm3", width)
            shapes[f"{name}.conv3.weight"] = (4 * width, width, 1, 1)
            channels = 4 * width
    shapes |= norm_shapes("norm", channels)
    return shapes | {"head.fc.weight": (classes, channels, 1, 1), "head.fc.bias": (classes,)}


@pytest.mark.parametrize("scan", [False, True])
def test_timms_preactivation_resnet(scan, tmp_path):
    blocks, widths = (1, 3, 1, 1), (8, 8, 16, 16)
    state = random_state(resnetv2_shapes(blocks, widths, classes=5))
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(state, path)
    model: Any = models.create_model(
        "preact_resnet50", 5, variant="timm", blocks=blocks, widths=widths, scan=scan
    )
    variables = models.load_pretrained(model, path, "timm")
    images = GENERATOR.normal(size=(2, 3, 33, 46))
    assert_close(logits_of(model, variables, images), torch_forward.resnetv2(state, images))


def test_timms_vgg_with_dense_layers_as_convolutions(tmp_path):
    state = random_state(
        {
            "features.0.weight": (6, 3, 3, 3),
            "features.0.bias": (6,),
            "features.3.weight": (10, 6, 3, 3),
            "features.3.bias": (10,),
            "pre_logits.fc1.weight": (8, 10, 7, 7),
            "pre_logits.fc1.bias": (8,),
            "pre_logits.fc2.weight": (6, 8, 1, 1),
            "pre_logits.fc2.bias": (6,),
            "head.fc.weight": (5, 6),
            "head.fc.bias": (5,),
        }
    )
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(state, path)
    model = VGG(num_classes=5, blocks=((3,), (3,)), widths=(6, 10), hidden=(8, 6))
    variables = models.load_pretrained(model, path, "timm", input_size=(28, 28, 3))
    images = GENERATOR.normal(size=(2, 3, 28, 28))
    assert_close(logits_of(model, variables, images), torch_forward.timm_vgg(state, images))


def test_names_of_torchvisions_older_files_of_densenets_are_read(tmp_path):
    small: dict[str, Any] = {"blocks": (2, 1), "growth": 6, "stem_width": 10}
    model: Any = models.create_model("densenet121", 5, **small)
    variables = random_variables(model, (32, 32))
    path = tmp_path / "weights.safetensors"
    models.export_torchvision(model, variables, path)
    state = safetensors.numpy.load_file(path)
    # As in densenet121-a639ec97.pth.
    name = "features.denseblock1.denselayer2.norm1.weight"
    older = {
        n.replace("norm1.", "norm.1.").replace("norm2.", "norm.2.").replace("conv2.", "conv.2."): a
        for n, a in state.items()
    }
    assert name in state
    assert name.replace("norm1", "norm.1") in older
    safetensors.numpy.save_file(older, path)
    jax.tree.map(np.testing.assert_array_equal, models.load_pretrained(model, path), variables)


def test_blocks_under_scan_are_exported_one_by_one(tmp_path):
    overrides: dict[str, Any] = {"blocks": (3, 1), "widths": (64, 8)}
    model: Any = models.create_model("resnet18", 5, scan=True, **overrides)
    variables = random_variables(model, (32, 32))
    path = tmp_path / "weights.safetensors"
    models.export_torchvision(model, variables, path)
    state = safetensors.numpy.load_file(path)
    rest = variables["params"]["stage1_rest"]["conv2"]["kernel"]
    assert rest.shape == (2, 3, 3, 64, 64)
    for row, name in enumerate(("layer1.1.conv2.weight", "layer1.2.conv2.weight")):
        np.testing.assert_array_equal(state[name], rest[row].transpose(3, 2, 0, 1))
    loaded = models.load_pretrained(model, path)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
