"""A run from a configuration starts from the weights of a run or of a file."""

import copy
import json
import shutil

import jax
import numpy as np
import pytest

from cnnjax import models, recipes, training
from tests.helpers.tiny_run import TINY
from tests.helpers.trees import assert_equal


@pytest.fixture(scope="module")
def source(data_dir, tmp_path_factory):
    """The folder of a trained run and its variables."""
    folder = tmp_path_factory.mktemp("source") / "run"
    run = recipes.make_run({**TINY, "epochs": 1}, data_dir=data_dir)
    with jax.numpy_dtype_promotion("standard"):
        return folder, training.fit(run, folder, progress=False).variables


def config(weights, **model):
    changed = copy.deepcopy({**TINY, "epochs": 1, "seed": 5})
    changed["model"] = {**changed["model"], "weights": str(weights), **model}
    return changed


def test_the_first_state_has_the_variables_of_a_run_or_a_file(source, data_dir, tmp_path):
    folder, variables = source
    models.save_pretrained(variables, tmp_path / "weights.safetensors")
    for weights in (folder, tmp_path / "weights.safetensors"):
        run = recipes.make_run(config(weights), data_dir=data_dir)
        assert_equal(run.init_state().variables, variables)
        assert run.start is not None
        assert not run.start.plan(jax.eval_shape(lambda: variables))["fresh"]


def test_frozen_layers_stay_as_loaded_and_the_folder_names_them(source, data_dir, tmp_path):
    folder, variables = source
    settings = config(folder, fresh=["classifier/.*"])
    settings["optimizer"] = {
        **settings["optimizer"],
        "frozen": [["classifier/.*", False], [".*", True]],
    }
    run = recipes.make_run(settings, data_dir=data_dir)
    result = training.fit(run, tmp_path / "tuned", progress=False)
    for layer, arrays in result.variables["params"].items():
        equal = np.array_equal(arrays["kernel"], variables["params"][layer]["kernel"])
        assert equal == (layer != "classifier"), layer
    start = json.loads((tmp_path / "tuned/run.json").read_text())["start"]
    assert start["fresh"] == ["classifier/bias", "classifier/kernel"] and start["adapted"] == []
    assert "c1/kernel" in start["loaded"] and start["weights"] == str(folder)


def test_all_layers_from_one_on_are_fresh(source, data_dir):
    folder, variables = source
    run = recipes.make_run(config(folder, fresh_from="c5"), data_dir=data_dir)
    assert run.start is not None
    plan = run.start.plan(jax.eval_shape(lambda: variables))
    assert {name.partition("/")[0] for name in plan["loaded"]} == {"c1", "c3"}
    assert {name.partition("/")[0] for name in plan["fresh"]} == {"c5", "f6", "classifier"}
    started, fresh = run.init_state().params, run.replace(start=None).init_state().params
    for layer, arrays in started.items():
        origin = variables["params"] if layer in ("c1", "c3") else fresh
        assert_equal(arrays, origin[layer])


def test_a_run_goes_on_where_its_source_is_gone(source, data_dir, tmp_path):
    moved = tmp_path / "source"
    shutil.copytree(source[0], moved)
    run = recipes.make_run(config(moved), data_dir=data_dir)
    training.fit(run, tmp_path / "tuned", progress=False)
    shutil.rmtree(moved)
    run = recipes.make_run(config(moved), data_dir=data_dir, extend_to=2)
    result = training.fit(run, tmp_path / "tuned", progress=False)
    assert result.history[-1]["epoch"] == 2


@pytest.mark.parametrize(
    ("weights", "model", "message"),
    [
        ("nowhere", {}, "nowhere: there is no such file or folder; give a run's folder"),
        (".", {}, "gives no weights"),
        (None, {"name": "resnet8_cifar"}, "does not fit the network"),
        (None, {"fresh": ["C9.*"]}, "no parameter matches 'C9"),
        (None, {"fresh_from": "c4"}, r"model\.weights: 'c4' is no layer of the network; did you"),
        ("", {"fresh_from": "c3"}, r"model\.fresh_from: there are no weights"),
        ("", {"fresh": ["C1.*"]}, r"model\.fresh: there are no weights"),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_anything_is_written(
    weights, model, message, source, data_dir, tmp_path, monkeypatch
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    weights = source[0] if weights is None else weights
    settings = config(weights, **model)
    with pytest.raises(training.ConfigError, match=message):
        training.fit(recipes.make_run(settings, data_dir=data_dir), tmp_path / "tuned")
    assert not (tmp_path / "tuned").exists()
