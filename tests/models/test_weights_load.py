"""Loading is strict, lists everything that does not fit at once, and executes nothing."""

import pickle
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from cnnjax import digests, models
from tests.helpers.trees import assert_equal
from tests.models.shapes import drawn

SMALL: dict[str, Any] = {"blocks": (1, 1), "widths": (64, 8)}
MODEL: Any = models.create_model("resnet18", 5, **SMALL)


def variables_for(model, seed=0, size=(32, 32, 3)):
    images = jax.ShapeDtypeStruct((1, *size), jnp.float32)
    return drawn(jax.eval_shape(model.init, jax.random.key(0), images), seed)


@pytest.fixture(scope="module")
def variables():
    return variables_for(MODEL)


@pytest.fixture(scope="module")
def state(variables, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    models.export_torchvision(MODEL, variables, path)
    return safetensors.numpy.load_file(path)


@pytest.fixture
def write(tmp_path):
    def write(state):
        path = tmp_path / "weights.safetensors"
        safetensors.numpy.save_file({k: np.asarray(v, order="C") for k, v in state.items()}, path)
        return path

    return write


def test_counters_may_be_absent_and_a_wrappers_prefix_is_taken_off(state, variables, write):
    bare = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert 0 < len(bare) < len(state)
    assert_equal(models.load_pretrained(MODEL, write(bare)), variables)
    wrapped = {f"module.{name}": array for name, array in state.items()}
    assert_equal(models.load_pretrained(MODEL, write(wrapped)), variables)


def test_a_name_with_and_without_the_prefix_is_refused(state, write):
    twice = {**state, "module.fc.bias": state["fc.bias"]}
    with pytest.raises(models.WeightsError, match=r"both .*fc\.bias"):
        models.load_pretrained(MODEL, write(twice))


def test_all_mismatches_are_listed_at_once_with_the_nearest_names(state, write):
    broken = dict(state)
    broken["layer1.0.konv1.weight"] = broken.pop("layer1.0.conv1.weight")
    del broken["bn1.running_var"]
    broken["entirely.different"] = np.zeros(3, np.float32)
    broken["fc.weight"] = np.zeros((1000, 8), np.float32)
    broken["layer2.0.bn2.bias"] = np.zeros(9, np.float32)
    with pytest.raises(models.WeightsError) as caught:
        models.load_pretrained(MODEL, write(broken))
    mismatch: Any = caught.value.mismatch
    assert set(mismatch.missing) == {"layer1.0.conv1.weight", "bn1.running_var"}
    assert set(mismatch.unexpected) == {"layer1.0.konv1.weight", "entirely.different"}
    assert dict(mismatch.wrong_shape) == {
        "fc.weight": ((1000, 8), (5, 8)),
        "layer2.0.bn2.bias": ((9,), (8,)),
    }
    message = str(caught.value)
    assert "2 missing, 2 unexpected, 2 of another shape" in message
    assert (
        "missing: layer1.0.conv1.weight (our stage1_block1/conv1/kernel); "
        "nearest: layer1.0.konv1.weight"
    ) in message
    assert "unexpected: layer1.0.konv1.weight; nearest: layer1.0.conv1.weight" in message
    assert "unexpected: entirely.different\n" in message
    assert "wrong shape: fc.weight is (1000, 8), needed is (5, 8)" in message


def test_a_classifier_of_ones_own_is_kept_and_all_else_is_strict(state, variables, write):
    model: Any = models.create_model("resnet18", 3, **SMALL)
    fresh = variables_for(model, seed=1)
    path = write(state)
    with pytest.raises(models.WeightsError, match="classifiers=False"):
        models.load_pretrained(model, path)
    loaded = models.load_pretrained(model, path, variables=fresh, classifiers=False)
    assert_equal(loaded["params"]["classifier"], fresh["params"]["classifier"])
    for tree in (loaded, fresh, expected := jax.tree.map(lambda v: v, variables)):
        del tree["params"]["classifier"]
    assert_equal(loaded, expected)

    headless = {k: v for k, v in state.items() if not k.startswith("fc.")}
    fresh = variables_for(model, seed=1)
    models.load_pretrained(model, write(headless), variables=fresh, classifiers=False)
    del headless["conv1.weight"]
    with pytest.raises(models.WeightsError, match=r"missing: conv1\.weight"):
        models.load_pretrained(model, write(headless), variables=fresh, classifiers=False)


def test_patterns_keep_layers_of_ones_own(state, variables, write):
    fresh = variables_for(MODEL, seed=1)
    loaded = models.load_pretrained(
        MODEL, write(state), variables=fresh, skip=["stage2_block1/.*", "bn1/(mean|var)"]
    )
    for collection, layers in loaded.items():
        for layer, leaves in layers.items():
            own = layer == "stage2_block1" or (collection, layer) == ("batch_stats", "bn1")
            assert_equal(leaves, (fresh if own else variables)[collection][layer])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classifiers": False}, "give variables"),
        ({"skip": ["nothing/.*"]}, "no parameter matches 'nothing/"),
        ({"skip": "conv1/.*"}, "skip is a list"),
        ({"skip": ["("]}, "not a regular expression"),
        ({"source": "keras"}, "source must be one of"),
        ({"input_size": (32, 32, 3)}, "leave out input_size"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message, state, write, variables):
    given = {} if "classifiers" in arguments else {"variables": variables}
    with pytest.raises(ValueError, match=message):
        models.load_pretrained(MODEL, write(state), **given, **arguments)


@pytest.mark.parametrize(
    ("name", "variant", "source", "message"),
    [
        ("alexnet", None, "torchvision", "variant='torchvision'"),
        ("googlenet", None, "torchvision", "norm='none'"),
        ("vgg11_lrn", None, "torchvision", "response_norm=True"),
        ("resnet50", "paper", "torchvision", "stride_in='1x1'"),
        ("resnet20_cifar", None, "torchvision", "stem='cifar'"),
        ("preact_resnet50", None, "timm", "variant='timm'"),
        ("preact_resnet50", None, "torchvision", "torchvision has no PreActResNet"),
        ("alexnet", "torchvision", "timm", "timm has no AlexNet"),
    ],
)
def test_networks_that_compute_something_else_are_refused(name, variant, source, message):
    model: Any = models.create_model(name, variant=variant)
    with pytest.raises(ValueError, match=message):
        models.load_pretrained(model, "weights.safetensors", source)


@pytest.mark.parametrize(
    ("name", "variant", "source", "choice", "message"),
    [
        ("resnet50", None, "torchvision", {"activation": "gelu"}, "activation='gelu'"),
        ("resnet50", None, "timm", {"norm": "group"}, "norm='group'"),
        ("vgg16", "torchvision", "torchvision", {"padding_mode": "reflect"}, "'reflect'"),
        ("vgg16", None, "timm", {"activation": "elu"}, "activation='elu'"),
        ("googlenet", "torchvision", "torchvision", {"module": "naive"}, "module='naive'"),
        ("inception_v3", None, "torchvision", {"five": "two_3x3"}, "five='two_3x3'"),
        ("preact_resnet50", "timm", "timm", {"norm": "none"}, "norm='none'"),
    ],
)
def test_other_choices_than_the_trained_ones_are_refused(name, variant, source, choice, message):
    model: Any = models.create_model(name, variant=variant, **choice)
    with pytest.raises(ValueError, match=message):
        models.load_pretrained(model, "weights.safetensors", source)


def test_auxiliary_heads_are_needed_unless_the_network_is_made_without(tmp_path):
    with_heads: Any = models.create_model("googlenet", 5, variant="torchvision")
    without: Any = models.create_model("googlenet", 5, variant="torchvision", aux_heads=False)
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    shapes = jax.eval_shape(with_heads.init, jax.random.key(0), images)
    full = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    bare = {
        collection: {layer: v for layer, v in tree.items() if not layer.startswith("aux")}
        for collection, tree in full.items()
    }
    path = tmp_path / "weights.safetensors"
    models.export_torchvision(with_heads, full, path)
    loaded = models.load_pretrained(without, path)
    assert jax.tree.structure(loaded) == jax.tree.structure(bare)
    models.export_torchvision(without, bare, path)
    loaded = models.load_pretrained(without, path, variables=bare)
    assert jax.tree.structure(loaded) == jax.tree.structure(bare)
    with pytest.raises(models.WeightsError, match="aux_heads=False") as caught:
        models.load_pretrained(with_heads, path, variables=full)
    mismatch: Any = caught.value.mismatch
    assert {name.partition(".")[0] for name in mismatch.missing} == {"aux1", "aux2"}


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_other_float_types_become_float32(dtype, state, write):
    half = {k: v.astype(dtype) if v.dtype == np.float32 else v for k, v in state.items()}
    loaded = models.load_pretrained(MODEL, write(half))
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded)} == {jnp.dtype("float32")}
    np.testing.assert_array_equal(
        loaded["params"]["bn1"]["scale"], half["bn1.weight"].astype(np.float32)
    )


def test_integers_are_no_weights(state, write):
    quantised = {**state, "fc.weight": np.zeros((5, 8), np.int8)}
    with pytest.raises(
        models.WeightsError, match=r"weights\.safetensors: fc\.weight has the dtype I8"
    ):
        models.load_pretrained(MODEL, write(quantised))


def test_images_of_another_size_or_depth_need_input_size(tmp_path):
    model: Any = models.create_model("lenet5", 10)
    variables = variables_for(model, size=(28, 28, 1))
    path = tmp_path / "weights.safetensors"
    models.save_pretrained(variables, path)
    with pytest.raises(models.WeightsError, match="give input_size="):
        models.load_pretrained(model, path, "cnnjax")
    assert_equal(models.load_pretrained(model, path, "cnnjax", input_size=(28, 28, 1)), variables)


def test_a_folder_that_is_not_there_cannot_be_written_in(variables, tmp_path):
    path = tmp_path / "none" / "weights.safetensors"
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        models.save_pretrained(variables, path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        models.export_torchvision(MODEL, variables, path)


@pytest.mark.parametrize("name", ["lenet5_1998", "wrn16_4"])
def test_our_own_files_come_back(name, tmp_path):
    model: Any = models.create_model(name)
    variables = variables_for(model, size=models.model_info(name).input_size)
    path = tmp_path / "weights.safetensors"
    models.save_pretrained(variables, path)
    assert_equal(models.load_pretrained(model, path, "cnnjax"), variables)


class Explosive:
    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


def test_pickles_are_refused_and_not_executed(tmp_path):
    legacy = tmp_path / "legacy.pth"
    legacy.write_bytes(pickle.dumps(Explosive()))
    zipped = tmp_path / "zip.pth"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Explosive()))
    for path in (legacy, zipped):
        with pytest.raises(
            models.WeightsError, match=r"-m scripts\.convert_torch_weights .*safetensors"
        ):
            models.load_pretrained(MODEL, path)


def test_files_that_are_missing_damaged_or_swapped_are_refused(state, variables, write, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        models.load_pretrained(MODEL, tmp_path / "none.safetensors")
    path = write(state)
    assert_equal(
        models.load_pretrained(MODEL, path, sha256=digests.of_file(path).upper()), variables
    )
    with pytest.raises(models.WeightsError, match="has the SHA-256"):
        models.load_pretrained(MODEL, path, sha256="0" * 64)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(models.WeightsError, match="damaged"):
        models.load_pretrained(MODEL, path)


def test_a_header_that_starts_like_a_pickle_is_read(state, variables, tmp_path):
    """Safetensors files start with the header's length, here 0x..80."""
    for padding in range(8, 2000, 8):
        path = tmp_path / "weights.safetensors"
        safetensors.numpy.save_file(state, path, {"padding": "x" * padding})
        if path.read_bytes()[:1] == b"\x80":
            break
    else:
        pytest.fail("no header of such a length was made")
    assert_equal(models.load_pretrained(MODEL, path), variables)
