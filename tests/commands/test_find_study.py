"""Which file --study names."""

import sys
from pathlib import Path

import pytest

from cnnjax import training
from cnnjax.commands import find_study

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a study of its own, outside the clone."""
    (tmp_path / "experiments" / "studies").mkdir(parents=True)
    (tmp_path / "experiments" / "studies" / "mine.py").write_text("")
    (tmp_path / "other.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("mine", "experiments/studies/mine.py"),
        ("mine.py", "experiments/studies/mine.py"),
        ("other.py", "other.py"),
        ("degradation", str(ROOT / "cnnjax/configurations/studies/degradation.py")),
    ],
)
def test_names_are_looked_up_in_the_current_folder_and_in_the_package(folder, name, path):
    assert find_study.find(name) == Path(path)


@pytest.mark.parametrize("name", ["degradatio", "x/degradation.py"])
def test_a_wrong_name_gives_the_nearest(folder, name):
    with pytest.raises(training.ConfigError, match=f"{name} was not found; did you mean degrad"):
        find_study.find(name)


def test_a_name_unlike_any_lists_all(folder):
    with pytest.raises(training.ConfigError, match=r"there are mine, .*degradation, digits_search"):
        find_study.find("zzzzz")
    with pytest.raises(training.ConfigError, match="experiments is a folder"):
        find_study.find("experiments")


def test_the_clone_has_them_under_the_name_of_a_users_folder():
    assert (ROOT / "experiments" / "studies").resolve() == find_study.READY
