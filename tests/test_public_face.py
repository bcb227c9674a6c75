"""What several files state about the project as a whole is the same in each."""

import configparser
import re

import cnnjax
from tests.helpers.processes import ROOT


def tried() -> list[str]:
    """Returns the Python versions that there are constraints for."""
    names = sorted(path.stem.removeprefix("python") for path in (ROOT / "constraints").iterdir())
    return sorted(names, key=lambda name: int(name.partition(".")[2]))


def test_the_version_is_one():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {cnnjax.__version__}\n" in citation
    assert f"\n## {cnnjax.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_tried_python_versions_are_those_of_metadata_and_workflow():
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    classifiers = setup["metadata"]["classifiers"]
    assert re.findall(r"Python :: (3\.\d+)", classifiers) == tried()
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert re.findall(r'- python: "(.*)"', workflow) == tried()
    assert setup["options"]["python_requires"] == f">={tried()[0]}"


def test_every_script_installs_extras_that_exist():
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    for name in ("quickstart.sh", "test.sh"):
        script = (ROOT / "scripts" / name).read_text()
        (extras,) = re.findall(r"^prepare_environment (\S+)$", script, re.M)
        assert set(extras.split(",")) <= set(setup["options.extras_require"])


def test_an_editable_install_is_a_folder_on_the_search_path():
    """Found before a folder of the clone's name; setuptools' import hook, its default, is not."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    assert setup["options"]["package_dir"].split() == ["=", "."]
