"""A network starts from the arrays of another one; what differs is refused or named."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.models.weights.tables import leaves
from tests.models.shapes import drawn

SMALL: dict[str, Any] = {"blocks": (1, 1), "widths": (64, 8)}
MODEL: Any = models.create_model("resnet18", 5, **SMALL)


def variables_for(model, seed=0, channels=3):
    images = jax.ShapeDtypeStruct((1, 32, 32, channels), jnp.float32)
    return drawn(jax.eval_shape(model.init, jax.random.key(0), images), seed)


def by_name(variables):
    return {"/".join(path): np.asarray(leaf) for path, leaf in leaves(variables).items()}


@pytest.fixture(scope="module")
def trained():
    return variables_for(MODEL, 1)


@pytest.fixture(scope="module", params=["torchvision", "cnnjax"])
def file(request, trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    if request.param == "torchvision":
        models.export_torchvision(MODEL, trained, path)
    else:
        models.save_pretrained(trained, path)
    return request.param, path


def test_a_file_of_either_library_is_recognized_and_loaded_whole(file, trained):
    source, path = file
    own = variables_for(MODEL, 2)
    given = models.read_given(MODEL, own, path, None)
    assert given.source == source
    started = models.start_from(own, given, classifiers=MODEL.classifiers)
    assert not started.fresh and not started.adapted and not started.skipped
    found, expected = by_name(started.variables), by_name(trained)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_classifier_of_other_classes_is_fresh(file, trained):
    _, path = file
    model: Any = models.create_model("resnet18", 7, **SMALL)
    own = variables_for(model, 2)
    given = models.read_given(model, own, path, None)
    started = models.start_from(own, given, classifiers=model.classifiers)
    assert sorted(started.fresh) == ["classifier/bias", "classifier/kernel"]
    assert sorted(started.skipped) == ["classifier/bias", "classifier/kernel"]
    found = by_name(started.variables)
    for name, array in by_name(trained).items():
        expected = by_name(own)[name] if "classifier" in name else array
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_gray_images_written_in_more_or_fewer_channels_give_the_same_maps(trained, channels):
    model: Any = models.create_model("resnet18", 5, **SMALL)
    own = variables_for(model, 2, channels)
    given = models.given_by_variables("a run", trained)
    started = models.start_from(own, given, image_channels=channels)
    assert started.adapted == ("conv1/kernel",)
    gray = jax.random.normal(jax.random.key(0), (2, 32, 32, 1))
    expected = model.apply(trained, jnp.tile(gray, 3))
    found = model.apply(started.variables, jnp.tile(gray, channels))
    # One channel stands for all that were summed into it.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_patterns_keep_arrays_fresh(trained):
    own = variables_for(MODEL, 2)
    given = models.given_by_variables("a run", trained)
    started = models.start_from(own, given, fresh=["stage2.*", "classifier/kernel"])
    assert set(started.fresh) == {
        name.partition("/")[2]
        for name in by_name(own)
        if "/stage2" in name or name == "params/classifier/kernel"
    }
    for name in ("params/classifier/kernel", "batch_stats/stage2_block1/bn1/mean"):
        np.testing.assert_array_equal(by_name(started.variables)[name], by_name(own)[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fresh": ["stage9.*"]}, "no parameter matches 'stage9.*'; there are"),
        ({"fresh": ["("]}, r"the pattern '\(' is not a regular expression"),
        ({"fresh": [".*"]}, "nothing is left to load"),
    ],
)
def test_patterns_that_cannot_be_meant_are_refused(change, message, trained):
    own = variables_for(MODEL, 2)
    with pytest.raises(ValueError, match=message):
        models.start_from(own, models.given_by_variables("a run", trained), **change)


def test_weights_of_another_backbone_are_refused(file):
    _, path = file
    other: Any = models.create_model("resnet18", 5, blocks=(2, 1), widths=(64, 16))
    own = variables_for(other)
    with pytest.raises(
        models.WeightsError, match=r"(?s)does not fit.*shape of stage2_.*and \d+ mo"
    ):
        models.start_from(own, models.read_given(other, own, path, None))
    lenet = models.create_model("lenet5", 5)
    own = drawn(jax.eval_shape(lenet.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1))), 0)
    with pytest.raises(models.WeightsError, match=r"has a place in LeNet|does not fit"):
        models.start_from(own, models.read_given(lenet, own, path, None))


def test_a_kernel_of_other_channels_is_not_adapted_where_the_images_do_not_explain_it(trained):
    own = variables_for(MODEL, 2, 4)
    with pytest.raises(models.WeightsError, match=r"shape of conv1/kernel: .*3, 64\) given"):
        models.start_from(own, models.given_by_variables("a run", trained), image_channels=3)


def test_an_encoder_starts_from_a_classifier_or_from_another_networks_encoder(file, trained):
    _, path = file
    net: Any = models.create_model("unet", 3, encoder="resnet18", encoder_fields=SMALL)
    own = variables_for(net, 2)
    inner = {name: tree["encoder"] for name, tree in own.items()}
    given = models.read_given(net.part("encoder"), inner, path, None)
    for arrays in (given, models.given_by_variables("a run", trained)):
        started = models.start_part_from(own, "encoder", arrays)
        encoder = by_name({name: tree["encoder"] for name, tree in started.variables.items()})
        expected = by_name(trained)
        for name, array in encoder.items():
            np.testing.assert_array_equal(array, expected[name], err_msg=name)
        assert {name for name in started.fresh if name.startswith("encoder/")} == set()
        assert any("classifier" in name or name.startswith("fc.") for name in started.skipped)
    again = models.start_part_from(
        variables_for(net, 3), "encoder", models.given_by_variables("a run", started.variables)
    )
    np.testing.assert_array_equal(
        again.variables["params"]["encoder"]["conv1"]["kernel"],
        trained["params"]["conv1"]["kernel"],
    )
    with pytest.raises(ValueError, match="the network has no part 'body'; it has"):
        models.start_part_from(own, "body", given)
