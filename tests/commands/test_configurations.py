"""Which file --config names."""

import sys
from pathlib import Path

import pytest

from cnnjax import training
from cnnjax.commands import configs, find_configuration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a configuration of its own, outside the clone."""
    (tmp_path / "experiments" / "configs").mkdir(parents=True)
    (tmp_path / "experiments" / "configs" / "mine.py").write_text("")
    (tmp_path / "other.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("mine", "experiments/configs/mine.py"),
        ("mine.py", "experiments/configs/mine.py"),
        ("mine:wide", "experiments/configs/mine.py:wide"),
        ("other.py", "other.py"),
        ("experiments/configs/mine.py", "experiments/configs/mine.py"),
        ("lenet5_digits", str(ROOT / "cnnjax/configurations/lenet5_digits.py")),
    ],
)
def test_names_are_looked_up_in_the_current_folder_and_in_the_package(folder, name, path):
    assert find_configuration.find(name) == path


def test_the_current_folder_comes_first(folder):
    own = folder / "experiments" / "configs" / "lenet5_digits.py"
    own.write_text("")
    assert Path(find_configuration.find("lenet5_digits")).resolve() == own


def test_configurations_that_import_each_other_can(folder):
    sys.path = [path for path in sys.path if path not in ("", str(ROOT), str(folder))]
    find_configuration.find("mine")
    assert str(folder) in sys.path


@pytest.mark.parametrize("name", ["lenet5_digit", "lenet5-digits", "x/lenet5_digits.py"])
def test_a_wrong_name_lists_the_nearest(folder, name):
    with pytest.raises(training.ConfigError, match=f"{name} was not found; .* lenet5_digits"):
        find_configuration.find(name)


def test_a_name_unlike_any_lists_all(folder):
    with pytest.raises(training.ConfigError) as raised:
        find_configuration.find("zzzzz")
    assert all(name in str(raised.value) for name in find_configuration.known())


def test_a_folder_is_named_as_such(folder):
    with pytest.raises(training.ConfigError, match="experiments is a folder"):
        find_configuration.find("experiments")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "--config"],
        ["train", "--config="],
        ["train", "--config", "--workdir=x"],
        ["train", "--config.epochs=3"],
        ["train", "--", "--config=mine"],
    ],
)
def test_without_a_file_the_configurations_are_listed(folder, arguments):
    with pytest.raises(training.ConfigError, match=r"--config=NAME(.|\n)*mine"):
        find_configuration.resolve(arguments)


def test_without_any_configuration_the_message_describes_a_file(folder, monkeypatch):
    monkeypatch.setattr(find_configuration, "known", dict)
    with pytest.raises(training.ConfigError, match="get_config"):
        find_configuration.resolve(["train"])


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        (["--config=mine", "--x"], ["--config=experiments/configs/mine.py", "--x"]),
        (["-config=mine"], ["--config=experiments/configs/mine.py"]),
        (["--config", "mine"], ["--config=experiments/configs/mine.py"]),
        (["--config=mine", "--config.epochs=3"], None),
        (["--flagfile=flags.txt"], ["--flagfile=flags.txt"]),
    ],
)
def test_the_command_line_names_a_path(folder, given, resolved):
    resolved = resolved or ["--config=experiments/configs/mine.py", *given[1:]]
    assert find_configuration.resolve(["train", *given]) == ["train", *resolved]


def test_the_clone_has_them_under_the_name_of_a_users_folder():
    assert (ROOT / "experiments" / "configs").resolve() == find_configuration.READY


def test_the_list_has_a_line_for_each(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cnnjax configs"])
    configs.run()
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if not line.startswith("   ")]
    assert names == list(find_configuration.known()) and "mine" in names
    (line,) = [line for line in lines if line.startswith("  lenet5_digits ")]
    assert line.split(maxsplit=1)[1].startswith("LeNet-5 on the 1,797 embedded digits")


def test_the_file_of_one_is_shown(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cnnjax configs", "lenet5_digits"])
    configs.run()
    shown = capsys.readouterr().out
    assert shown == (find_configuration.READY / "lenet5_digits.py").read_text()
    monkeypatch.setattr(sys, "argv", ["cnnjax configs", "lenet5_digit"])
    with pytest.raises(SystemExit) as left:
        configs.run()
    assert left.value.code == 2
    assert "did you mean lenet5_digits" in capsys.readouterr().err
