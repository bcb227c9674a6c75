"""Runs whose network is a user's: another process finds it, or the message names what is gone."""

import json
import sys

import pytest

from cnnjax import recipes, training
from tests.helpers.processes import run_python

pytestmark = pytest.mark.process

FILE = """
import flax.linen as linen
from cnnjax import models


@models.register_model("test_own_registered", input_size=(8, 8, 1))
class Net(linen.Module):
    num_classes: int = 10

    @linen.compact
    def __call__(self, x):
        return linen.Dense(self.num_classes)(x.reshape(len(x), -1))
"""

LOAD = """
import json, os, sys
from cnnjax import inference, training

file, data_dir, *workdirs = sys.argv[1:]
os.rename(file, file + ".away")
messages = []
for workdir in workdirs:
    try:
        inference.load(workdir, data_dir=data_dir)
    except training.RunFolderError as error:
        messages.append(str(error))
os.rename(file + ".away", file)
metrics = [inference.load(workdir, data_dir=data_dir).evaluate() for workdir in workdirs]
print(json.dumps([messages, metrics]))
"""


def test_another_process_finds_them_or_names_what_is_gone(tmp_path, data_dir, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "own_parts_of_test.py"
    file.write_text(FILE)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    __import__("own_parts_of_test")
    results, workdirs = [], []
    for name in ("test_own_registered", "own_parts_of_test:Net"):
        config = {"model": {"name": name}, "optimizer": {"learning_rate": 0.01}, "epochs": 1}
        workdirs.append(str(tmp_path / str(len(workdirs))))
        run = recipes.make_run(config, data_dir=data_dir)
        results.append(training.fit(run, workdirs[-1], progress=False))
    # In a folder where the user's file is not.
    done = run_python("-c", LOAD, file, data_dir, *workdirs, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    messages, metrics = json.loads(done.stdout.splitlines()[-1])
    for message, name in zip(messages, ("'test_own_registered'", "own_parts_of_test"), strict=True):
        assert name in message and "is gone" in message and "bring the file back" in message
        assert str(file) in message
    for result, evaluated in zip(results, metrics, strict=True):
        assert evaluated["accuracy"] == result.metrics["accuracy"]
        assert evaluated["loss"] == pytest.approx(result.metrics["loss"], rel=1e-5)
