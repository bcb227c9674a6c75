"""The studies of pruning: what their runs differ in, and that they are made before any trains."""

import pytest

from cnnjax import analysis, models, studies
from cnnjax.commands import find_study
from cnnjax.configurations.studies import pruning

WEIGHTS = find_study.READY / "pruning.py"
FILTERS = find_study.READY / "filter_pruning.py"


def settings_of(file, scale):
    runs = studies.plan_runs(studies.load_study(file, scale))
    return {run.labels["network"]: run.config for run in runs if run.seed == 0}


@pytest.mark.parametrize(
    ("file", "scale"), [(file, s) for file in (WEIGHTS, FILTERS) for s in studies.scales_of(file)]
)
def test_all_networks_are_trained_for_as_many_epochs(file, scale):
    study = studies.load_study(file, scale)
    settings = settings_of(file, scale)
    first = study.base["epochs"]
    assert {each["epochs"] + (first if each["source"] else 0) for each in settings.values()} == {
        first + settings["dense"]["epochs"]
    }
    assert f"--study={file.stem}" in file.read_text()


def test_the_small_net_has_as_many_parameters_as_the_pruned_one():
    def parameters(**fields):
        changes = fields.pop("layer_changes", None)
        net = models.create_model("lenet5", 10, layer_changes=changes)
        return analysis.summarize(net, (32, 32, 1), kept=False, **fields).parameters

    assert parameters(layer_changes=pruning.SMALL) == 12_468
    weights = parameters(biases=False)
    left = weights - int(pruning.SPARSITY * weights)
    assert left + parameters() - weights == 12_530


@pytest.mark.slow
@pytest.mark.parametrize("file", [WEIGHTS, FILTERS], ids=lambda file: file.stem)
def test_the_runs_of_the_digits_can_be_made(file, data_dir):
    study = studies.load_study(file, "digits")
    costs = studies.study_costs(study, data_dir)
    assert len(costs) == 15
    assert sum("source-dense_seed-0" in cost.sources for cost in costs.values()) == 3
