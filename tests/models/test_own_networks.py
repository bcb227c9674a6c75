"""Networks of one's own: registered, given by path, and found again in another process."""

import json
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest
from ml_collections import config_flags

from cnnjax import models
from cnnjax.models import registry
from tests.helpers.processes import run_python
from tests.helpers.registries import keep_as_it_is


class Tiny(linen.Module):
    num_classes: int = 10
    width: int = 4
    dtype: Any = jnp.float32

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Dense(self.width, dtype=self.dtype)(x.reshape(len(x), -1)))
        return linen.Dense(self.num_classes, dtype=self.dtype)(x)


class Fixed(linen.Module):
    """Takes neither classes nor a dtype, but a width that has no default."""

    width: int

    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(linen.Dense(self.width)(x.reshape(len(x), -1)))


def of_width(width, num_classes=2):
    return Tiny(num_classes=num_classes, width=width)


def of_anything(**settings):
    return Tiny(**settings)


class NoModule:
    pass


def positional(width, /):
    return Tiny(width)


TINY = Tiny()


@pytest.fixture(autouse=True)
def forgotten_afterwards(monkeypatch):
    keep_as_it_is(registry.MODELS, monkeypatch)


def test_a_registered_class_is_a_network_like_any_other():
    decorated = models.register_model("tiny", input_size=(8, 8, 3), width=5)(Tiny)
    assert decorated is Tiny
    assert "tiny" in models.list_models("t*")
    model = models.create_model("tiny", 7, jnp.bfloat16)
    assert (model.num_classes, model.width, model.dtype) == (7, 5, jnp.bfloat16)
    assert models.create_model("tiny", width=6).width == 6
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    logits: Any = model.apply(variables, jnp.zeros((2, 8, 8, 3)))
    assert logits.shape == (2, 7)
    info = models.model_info("tiny")
    assert (info.input_size, info.mean, info.std) == ((8, 8, 3), (0, 0, 0), (1, 1, 1))
    assert info.source == "tests.models.test_own_networks:Tiny"
    assert info.parameters is None
    record = models.record_model("tiny")
    assert (record["module"], record["file"]) == (__name__, __file__)


def test_a_function_is_registered_as_well():
    models.register_model("wide", input_size=(8, 8, 1), width=64, mean=(0.1,), scale=255.0)(
        of_width
    )
    assert models.create_model("wide") == Tiny(2, 64)
    assert models.create_model("wide", 5) == Tiny(5, 64)
    assert models.model_info("wide").mean == (0.1,)
    models.register_model("any", input_size=(8, 8, 1))(of_anything)
    assert models.create_model("any", 5, width=3) == Tiny(5, 3)


def test_a_path_makes_a_network():
    path = f"{__name__}:Tiny"
    assert models.create_model(path, 5, jnp.float16, width=2) == Tiny(5, 2, jnp.float16)
    assert models.create_model(f"{__name__}:of_width", width=3) == Tiny(2, 3)
    # What isn't taken isn't given.
    assert models.create_model(f"{__name__}:Fixed", 100, width=3) == Fixed(3)
    assert models.record_model(path)["module"] == __name__
    assert models.list_variants(path) == []


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("Tiny", {"widht": 3}, "takes no 'widht'; did you mean width.*allowed are width"),
        ("Fixed", {}, "Fixed needs 'width'; set it as an override"),
        ("Fixed", {"width": 1, "dtype": jnp.bfloat16}, "takes no dtype, .*can't compute in bfloat"),
        ("Fixed", {"width": 1, "parent": None}, "takes no 'parent'"),
        ("NoModule", {}, "makes a NoModule, not a flax.linen.Module"),
        ("positional", {}, "cannot be called with the arguments .*: missing a required argument"),
        ("TINY", {}, "is a Tiny object; give the path of a flax.linen.Module's class"),
        ("CONFIGURATION", {}, "is a str object"),
        ("Tinny", {}, "has no 'Tinny'; did you mean Tiny"),
        ("Tiny", {"variant": "torchvision"}, "has no variant 'torchvision'; there is none"),
    ],
)
def test_what_makes_no_network_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        models.create_model(f"{__name__}:{name}", **settings)


def test_a_path_has_no_figures():
    with pytest.raises(ValueError, match=r"nothing is known about .*register_model"):
        models.model_info(f"{__name__}:Tiny")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "resnet50"}, "model: the name 'resnet50' is taken by cnnjax"),
        ({"name": "vgg_d"}, "the name 'vgg_d' is taken"),
        ({"name": "a:b"}, "can't be a name"),
        ({"input_size": (8, 8)}, r"input_size must be \(height, width, channels\)"),
        ({"mean": (0.5,)}, "mean must have one number for each of the 3 channels"),
    ],
)
def test_invalid_registrations_are_refused(settings, message):
    given = {"name": "tiny", "input_size": (8, 8, 3), **settings}
    with pytest.raises(ValueError, match=message):
        models.register_model(**given)(Tiny)


def test_cnnjax_keeps_no_record_of_its_own_networks():
    for name in ("resnet50", "vgg_d", "wrn22_3", "cnnjax.models.lenet:LeNet5"):
        assert models.record_model(name) == {}


CONFIGURATION = """
import flax.linen as linen
from cnnjax import models
from ml_collections import ConfigDict

@models.register_model("mine", input_size=(8, 8, 1))
class Mine(linen.Module):
    num_classes: int = 10

    @linen.compact
    def __call__(self, x):
        return linen.Dense(self.num_classes)(x.reshape(len(x), -1))

def get_config():
    return ConfigDict({"model": {"name": "mine"}})
"""

RESTORE = """
import json, sys
from cnnjax import models, parts
parts.restore([json.loads(sys.argv[1])])
print(models.create_model("mine", 3).num_classes)
"""


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_a_network_of_a_configuration_file_is_found_again_in_another_process(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CONFIGURATION)
    for _ in range(2):  # as a notebook may
        module: Any = config_flags.config_flags._ConfigFileParser("config").parse(str(file))
    assert module.model.name == "mine"
    assert models.create_model("mine", 5).num_classes == 5
    record = models.record_model("mine")
    assert record["file"] == str(file)

    def restore():
        return run_python("-c", RESTORE, json.dumps(record), cwd=tmp_path)

    assert restore().stdout == "3\n"
    file.rename(tmp_path / "moved.py")
    assert f"no file {file}; bring the file back" in restore().stderr


@pytest.mark.parametrize("path", ["builtins:dict", "builtins:iter", "builtins:eval"])
def test_what_shows_no_signature_is_refused_by_its_path(path):
    with pytest.raises(ValueError, match=f"create_model: {path} cannot be called"):
        models.create_model(path, num_classes=3)


@pytest.mark.parametrize("name", ["lenet5", "resnet8_cifar", "simple_cnn", "densenet40_12_cifar"])
def test_flax_s_table_of_layers_is_made(name):
    images = jnp.zeros((1, *models.model_info(name).input_size))
    assert "Total Parameters" in models.create_model(name).tabulate(jax.random.key(0), images)
