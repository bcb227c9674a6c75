"""An encoder's weights come from files of the backbone alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from tests.models.shapes import drawn, variables_of

FORM: dict[str, Any] = {"blocks": (1, 1), "widths": (4, 8)}
SIZE = (16, 16, 3)


@pytest.fixture(scope="module")
def backbone():
    net = models.create_model("resnet18", 7, **FORM)
    return net, drawn(variables_of(net, SIZE), seed=1)


@pytest.fixture(scope="module")
def unet():
    net = models.create_model("unet", 3, encoder="resnet18", encoder_fields=FORM, base=2)
    return net, drawn(variables_of(net, SIZE))


@pytest.mark.parametrize("source", ["torchvision", "timm", "cnnjax"])
def test_the_encoder_is_the_files_and_everything_else_is_kept(backbone, unet, source, tmp_path):
    path = tmp_path / "weights.safetensors"
    if source == "cnnjax":
        models.save_pretrained(backbone[1], path)
    else:
        models.export_torchvision(backbone[0], backbone[1], path)
    loaded = models.load_pretrained(unet[0], path, source, variables=unet[1], part="encoder")
    assert jax.tree.structure(loaded) == jax.tree.structure(unet[1])
    for collection, tree in loaded.items():
        for name, branch in tree.items():
            if name != "encoder":
                assert branch is unet[1][collection][name]
                continue
            for layer, leaves in branch.items():
                own = backbone[1][collection][layer]
                jax.tree.map(np.testing.assert_array_equal, leaves, own)


def test_an_encoder_of_another_form_is_refused(backbone, tmp_path):
    path = tmp_path / "weights.safetensors"
    models.export_torchvision(backbone[0], backbone[1], path)
    net: Any = models.create_model(
        "unet", encoder="resnet18", encoder_fields={**FORM, "blocks": (2, 1)}, base=2
    )
    variables = variables_of(net, SIZE)
    with pytest.raises(models.WeightsError, match=r"missing: layer1\.1\.conv1\.weight"):
        models.load_pretrained(net, path, variables=variables, part="encoder")


@pytest.mark.parametrize(
    ("name", "settings", "part", "message"),
    [
        ("unet", {"encoder": "resnet18"}, "decoder", "no part 'decoder' .* there is 'encoder'"),
        ("unet", {}, "encoder", "make it with one, such as encoder='resnet18'"),
        ("resnet18", {}, "encoder", "ResNet has no part 'encoder'"),
        ("unet", {"encoder": "resnet18"}, "encoder", "with part, give variables=model.init"),
    ],
)
def test_other_parts_are_refused(name, settings, part, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        net: Any = models.create_model(name, **settings)
        models.load_pretrained(net, tmp_path / "a", part=part)


@pytest.mark.slow
def test_parts_of_networks_for_each_pixel_export_as_they_load(tmp_path):
    fields = {"blocks": (1, 1, 1), "widths": (2, 2, 4)}
    net: Any = models.create_model("fcn_resnet50", 3, encoder_fields=fields)
    variables = drawn(variables_of(net, (32, 32, 3)))
    path = tmp_path / "weights.safetensors"
    models.save_pretrained(variables, path)
    loaded = models.load_pretrained(net, path, "cnnjax")
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    grouped: Any = models.create_model("fcn_resnet50", 3, encoder_fields={"norm": "group"})
    with pytest.raises(ValueError, match=r"with encoder\.norm='group'"):
        models.export_torchvision(grouped, variables, path)
    images = jnp.zeros((1, 40, 48, 3))
    assert jax.eval_shape(net.apply, variables, images).shape == (1, 40, 48, 3)
