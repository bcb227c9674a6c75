"""Fine-tuning on a folder of photographs: the study's arms, and torchvision's form of weights."""

import json
from typing import Any

import jax
import numpy as np
import pytest

from cnnjax import models, nn, recipes, reports, studies, training
from cnnjax.commands import find_study
from cnnjax.configurations import finetune_folder
from tests.helpers.fixtures import standard_promotion
from tests.helpers.photographs import write_photographs

__all__ = ["standard_promotion"]
FILE = find_study.READY / "finetuning.py"


@pytest.mark.parametrize("scale", ["cifar10", "imagenet"])
def test_the_arms_differ_in_their_start_alone(scale):
    runs = studies.plan_runs(studies.load_study(FILE, scale))
    assert len(runs) == 9
    by_start = {run.labels["start"]: run.config for run in runs if run.seed == 0}
    assert by_start["scratch"].model.weights == ""
    assert by_start["frozen"].model == by_start["tuned"].model
    kept = {"data", "task", "schedule", "epochs", "seed"}
    scratch, frozen, tuned = (c.model_dump(include=kept) for c in by_start.values())
    assert scratch == frozen == tuned


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of ResNet-18 in torchvision's format, for a thousand classes."""
    model: Any = models.create_model("resnet18", 1000)
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    variables = jax.eval_shape(
        lambda key, x: nn.init_network(model, key, x), jax.random.key(0), images
    )
    rng = np.random.default_rng(0)
    arrays = jax.tree.map(
        lambda leaf: np.abs(rng.normal(0, 0.05, leaf.shape)).astype(np.float32), variables
    )
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    models.export_torchvision(model, arrays, path)
    return path, arrays


def config_for(folder, weights):
    config: Any = finetune_folder.get_config()
    config.data.name = f"folder:{folder}"
    config.data.resize, config.data.crop, config.data.batch_size = 40, 32, 8
    config.model.weights = str(weights)
    config.epochs = 3
    return config


def test_weights_of_torchvision_start_all_but_the_classifier(weights, tmp_path):
    path, arrays = weights
    write_photographs(tmp_path)
    run = recipes.make_run(config_for(tmp_path, path))
    assert run.start is not None and run.shapes is not None
    plan = run.start.plan(run.shapes.variables)
    assert plan["source"] == "torchvision" and plan["fresh"] == [
        "classifier/bias",
        "classifier/kernel",
    ]
    assert len(plan["loaded"]) == len(jax.tree.leaves(arrays)) - 2
    assert run.phase(0) == 0 and run.phase(2 * run.epoch_steps) == 2


@pytest.mark.slow
def test_a_folder_becomes_a_tuned_network_whose_report_names_its_source(weights, tmp_path):
    path, _ = weights
    write_photographs(tmp_path / "photographs")
    run = recipes.make_run(config_for(tmp_path / "photographs", path))
    training.fit(run, tmp_path / "run", progress=False)
    assert json.loads((tmp_path / "run/run.json").read_text())["start"]["source"] == "torchvision"
    page = reports.write_report(tmp_path / "run", analysis=True).read_text()
    assert "torchvision" in page
    assert 'alt="Grad-CAM map' in page


def test_weights_of_another_backbone_are_refused(weights, tmp_path):
    write_photographs(tmp_path / "photographs")
    config = config_for(tmp_path / "photographs", weights[0])
    config.model.name = "resnet34"
    with pytest.raises(training.ConfigError, match=r"model\.weights: .*does not fit"):
        training.fit(recipes.make_run(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()
