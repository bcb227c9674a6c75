"""Every ready configuration parses, fits its dataset and its network, and is documented."""

import importlib
from pathlib import Path

import pytest

from cnnjax import data, recipes
from cnnjax.data.folders import BOXES_PREFIXES
from cnnjax.data.own_datasets import own_name
from cnnjax.recipes.without_examples import run_fields
from tests.data.annotations.folders import write_voc
from tests.helpers.photographs import write_photographs

FOLDER = Path(__file__).parents[2] / "cnnjax" / "configurations"
PATHS = [*FOLDER.glob("[!_]*.py"), *FOLDER.glob("dense/[!_]*.py")]
NAMES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in PATHS)
# Their networks take seconds to trace.
SLOW = (
    "dense/fcn8s_oxford_iiit_pet",
    "dense/naive_dense_digit_scenes",
    "densenet_bc100_12_cifar10",
    "googlenet_imagenet2012",
    "inception_v3_imagenet2012",
    "preact_resnet164_cifar10",
    "resnet110_cifar10",
    "resnext50_imagenet2012",
)


def config_of(name):
    module = importlib.import_module(f"experiments.configs.{name.replace('/', '.')}")
    return module, recipes.parse_config(module.get_config())


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_parses_and_names_its_command(name):
    module, config = config_of(name)
    known = config.data.name.partition("/")[0] in data.list_datasets()
    folder = config.data.name.startswith((*BOXES_PREFIXES, "folder:"))
    assert known or folder or own_name(config.data.name)
    assert f"--config=experiments/configs/{name}.py" in (module.__doc__ or "")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in NAMES]
)
def test_a_configuration_fits_its_network_and_its_images(name, tmp_path):
    module, config = config_of(name)
    if config.data.name.startswith("voc:"):
        # A folder of that form in place of the user's.
        objects = [[("cell", 1, 1, 20, 16)] * 2] * 64
        write_voc(tmp_path, {"train": objects, "test": objects[:1]})
        changed = module.get_config()
        changed.data.name = f"voc:144x192:{tmp_path}"
        config = recipes.parse_config(changed)
    if config.data.name.startswith("folder:"):
        write_photographs(tmp_path)
        changed = module.get_config()
        changed.data.batch_size = 8  # there are 24 of them
        changed.data.name = f"folder:{tmp_path}"
        config = recipes.parse_config(changed)
    recipes.check_blueprint(recipes.make_blueprint(config))


@pytest.mark.parametrize(
    ("name", "step", "rate"),
    [
        # He et al. 2015, section 4.2: a tenth from 32,000 iterations on, a hundredth from 48,000.
        ("resnet20_cifar10", 31_999, 0.1),
        ("resnet20_cifar10", 32_000, 0.01),
        ("resnet20_cifar10", 48_000, 0.001),
        # Zagoruyko and Komodakis 2016: a fifth after 60, 120 and 160 of 200 epochs of 390 steps.
        ("wrn16_4_cifar10", 60 * 390, 0.02),
        ("wrn16_4_cifar10", 160 * 390, 0.0008),
        # Huang et al. 2017: a tenth after half of 300 epochs of 781 steps, a hundredth after 3/4.
        ("densenet_bc100_12_cifar10", 150 * 781, 0.01),
        ("densenet_bc100_12_cifar10", 225 * 781, 0.001),
        # Larsson et al. 2017: a tenth whenever the epochs that are left have halved.
        ("fractalnet20_cifar10", 350 * 500, 0.00002),
    ],
)
def test_rates_are_the_papers(name, step, rate):
    fields = run_fields(recipes.make_blueprint(config_of(name)[1]))
    assert float(fields["schedule"](step)) == pytest.approx(rate)
