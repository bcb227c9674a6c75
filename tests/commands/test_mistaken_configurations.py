"""Errors in configuration files, keys set to none, and the order of flags."""

import json
import subprocess
import sys

import pytest

from cnnjax import recipes
from cnnjax.commands import find_configuration, unset_keys
from tests.helpers.processes import ROOT

START = "from cnnjax import recipes\n\ndef get_config():\n    c = recipes.default_config()\n"
FILES = {
    "no_function": (
        "def getconfig():\n    return 3\n",
        "no_function.py has no function get_config",
    ),
    "own_mistake": (
        f"import numpy as np\n{START}    c.epochs = np.flor(2.5)\n    return c\n",
        "own_mistake.py, line 6: AttributeError: module 'numpy' has no attribute 'flor'",
    ),
    "unknown_key": (
        f"{START}    c.optimizer.learning_rat = 0.1\n    return c\n",
        "unknown_key.py, line 5: the key 'learning_rat' is unknown; did you mean "
        "config.optimizer.learning_rate?",
    ),
    "wrong_type": (
        f"{START}    c.epochs = '3'\n    return c\n",
        "wrong_type.py, line 5: TypeError: Could not override field 'epochs'",
    ),
}

PROGRAM = """
import sys
from ml_collections import config_flags
from absl import flags
from cnnjax.commands import command_line

config_flags.DEFINE_config_file("config")
print(command_line.parse(sys.argv, ""), flags.FLAGS.config.to_json(), sys.argv)
"""


def parse(*arguments):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", FILES)
def test_an_error_in_the_file_is_reported_with_its_line(name, tmp_path):
    content, message = FILES[name]
    (tmp_path / f"{name}.py").write_text(content)
    done = parse(f"--config={tmp_path / name}.py")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: --config: ") and message in done.stderr


def test_a_key_of_the_file_is_set_to_none_and_the_file_may_come_last(tmp_path):
    file = tmp_path / "file.py"
    file.write_text(f"{START}    c.data.resize = 16\n    return c\n")
    given = ["--config.data.resize=none", "--config.epochs=3", "--config", str(file)]
    done = parse(*given)
    assert done.returncode == 0, done.stderr
    config = json.loads(done.stdout[done.stdout.index("{") : done.stdout.rindex("}") + 1])
    assert config["data"]["resize"] is None and config["epochs"] == 3
    # What a run records as its command.
    assert "--config.data.resize=none" in done.stdout


def test_only_keys_that_may_be_none_are_set_to_none():
    keys = recipes.optional_keys()
    assert {"data.resize", "optimizer.momentum", "initialization"} <= set(keys)
    assert "epochs" not in keys and set(keys) <= set(recipes.known_keys())
    rest = ["x", "--config.epochs=none", "--config.data.resize=3", "--", "--config.data.crop=none"]
    given = [*rest[:1], "--config.data.crop=None", *rest[1:]]
    assert unset_keys.split_off(given) == (rest, ["data.crop"])


def test_the_file_comes_first():
    path = str(find_configuration.known()["lenet5_digits"])
    for given in (["--config", "lenet5_digits"], ["--config=lenet5_digits"]):
        found = find_configuration.resolve(["x", "--a=1", *given, "b", "--", "--config=c"])
        assert found == ["x", f"--config={path}", "--a=1", "b", "--", "--config=c"]
