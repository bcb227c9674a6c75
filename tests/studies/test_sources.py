"""Runs that a study makes itself, and sources that its runs start from."""

import json
import threading

import numpy as np
import pytest
import safetensors.numpy

from cnnjax import studies, training
from cnnjax.recipes.starting_weights import StartingWeights
from cnnjax.studies.context import RunContext
from cnnjax.studies.cost import Cost
from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.making import make_planned
from cnnjax.studies.sources import SourceNotFinished
from cnnjax.studies.worker import Worker, WorkOptions
from tests.studies import fake_training, made_up, own_runs

QUICK = WorkOptions(poll_seconds=0.01)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A study of two sources and three starts, its runs and its folder."""
    fake_training.install(monkeypatch.setattr)
    study = own_runs.get_study(
        outcomes=[studies.Outcome("error", studies.metric("error"))],
        rule=studies.Rule(
            "x", studies.Comparison("x", "error", {"start": "near"}, {"start": "far"})
        ),
    )
    runs, folder = studies.plan_all(study), StudyFolder(tmp_path)
    folder.start(study, studies.check_runs(runs), runs)
    return study, runs, folder


def work(shared, options=QUICK, runs=None):
    study, planned, folder = shared
    Worker(study, runs or planned, folder, options).work()


def test_sources_come_first_of_each_seed():
    study = own_runs.get_study()
    assert [run.name for run in studies.plan_all(study)] == [
        "source-near_seed-0",
        "source-far_seed-0",
        "start-scratch_seed-0",
        "start-near_seed-0",
        "start-far_seed-0",
        "source-near_seed-1",
        "source-far_seed-1",
        "start-scratch_seed-1",
        "start-near_seed-1",
        "start-far_seed-1",
    ]
    near = studies.plan_sources(study)[2]
    assert near.config == {"source": "", "classes": 3, "epochs": 1, "seed": 1}
    assert [run.is_source for run in studies.plan_runs(study)] == [False] * 6


def test_the_cost_of_own_runs_is_multiply_adds_times_images():
    costs = studies.study_costs(own_runs.get_study())
    # 4x4 places of 9 products for 4 maps; then 64 values for each class. 16 images an epoch.
    assert costs["start-near_seed-1"] == Cost(16 * 9 * 4 + 64 * 4, 16, ("source-near_seed-1",))
    assert costs["source-far_seed-0"] == Cost(16 * 9 * 4 + 64 * 4, 32)
    assert costs["source-near_seed-0"] == Cost(16 * 9 * 4 + 64 * 3, 16)


def test_a_run_waits_for_its_source(shared, tmp_path):
    study, runs, folder = shared
    work(shared, runs=runs[::-1])  # those that start from sources come first
    finished = fake_training.read_notes(tmp_path, "finished")
    assert sorted(finished) == sorted(run.name for run in runs)
    for seed in (0, 1):
        for name in ("near", "far"):
            source, started = f"source-{name}_seed-{seed}", f"start-{name}_seed-{seed}"
            assert finished.index(source) < finished.index(started)
    results = studies.collect(study, studies.plan_runs(study), folder, studies.plan_sources(study))
    assert len(results.outcomes) == 6
    assert results.source_outcomes["source-far_seed-1"] == {"error": 2.1}
    page = studies.results_page(results)
    assert "| far | 2 of 2 | 2.05 |" in page and "6 of 6 runs finished" in page


def test_two_workers_train_each_source_once(shared, tmp_path, monkeypatch):
    fake_training.install(monkeypatch.setattr, seconds=0.01)
    threads = [threading.Thread(target=work, args=(shared,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = fake_training.read_notes(tmp_path, "started")
    assert sorted(started) == sorted(run.name for run in shared[1])


def test_a_source_of_another_process_is_waited_for(shared, tmp_path):
    """Also where the process was started for some runs alone, which wait for no other runs."""
    _, runs, folder = shared
    claim = folder.claims().acquire("source-near_seed-0")
    chosen = [run for run in runs if run.name in ("source-near_seed-0", "start-near_seed-0")]
    options = WorkOptions(waits=False, poll_seconds=0.01)
    thread = threading.Thread(target=work, args=(shared, options, chosen))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    claim.release()
    thread.join()
    finished = fake_training.read_notes(tmp_path, "finished")
    assert finished == ["source-near_seed-0", "start-near_seed-0"]


def test_runs_of_a_failed_source_fail_and_the_others_go_on(shared, tmp_path, monkeypatch):
    study, _, folder = shared

    def fit(run, path, **options):
        if path.name == "source-near_seed-0":
            raise training.TrainingDiverged("loss is NaN")
        return fake_training.fit(run, path, **options)

    monkeypatch.setattr("cnnjax.studies.worker.fit", fit)
    work(shared)
    results = studies.collect(study, studies.plan_runs(study), folder, studies.plan_sources(study))
    assert results.failures == {
        "source-near_seed-0": "TrainingDiverged: loss is NaN",
        "start-near_seed-0": "source-near_seed-0, from which it starts, failed",
    }
    assert len(fake_training.read_notes(tmp_path, "finished")) == 8
    # Fixed, both are tried again.
    monkeypatch.setattr("cnnjax.studies.worker.fit", fake_training.fit)
    for name in results.failures:
        folder.clear_failure(name)
    work(shared)
    assert folder.is_finished("start-near_seed-0", study)


def test_a_source_without_its_weights_is_trained_again(shared, tmp_path):
    work(shared)
    folder = shared[2]
    (folder.run("source-near_seed-0") / "weights.safetensors").unlink()
    work(shared)
    assert fake_training.read_notes(tmp_path, "finished").count("source-near_seed-0") == 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A real run that starts from a real source, and the study's folder."""
    import jax

    workdir = tmp_path_factory.mktemp("own")
    with jax.numpy_dtype_promotion("standard"):
        results = studies.run_study(own_runs.get_study(), workdir, only=["start-near_seed-0"])
    return results, workdir


def test_a_run_starts_from_its_source_which_is_trained_before_it(trained):
    results, workdir = trained
    assert list(results.outcomes) == ["start-near_seed-0"]
    assert list(results.source_outcomes) == ["source-near_seed-0"]
    run = workdir / "runs" / "start-near_seed-0"
    start = json.loads((run / "run.json").read_text())["start"]
    assert start["loaded"] == ["conv/bias", "conv/kernel"]
    assert start["fresh"] == ["head/bias", "head/kernel"]
    # What is frozen is the source's, bit for bit.
    weights = safetensors.numpy.load_file(workdir / "runs/source-near_seed-0/weights.safetensors")
    study = own_runs.get_study()
    (planned,) = studies.choose_runs(studies.plan_runs(study), ["start-near_seed-0"])
    made = make_planned(planned, RunContext({}, 0, sources=planned.sources, workdir=workdir))
    from cnnjax import inference

    network = inference.load(run, run=made)
    kernel = np.asarray(network.variables["params"]["conv"]["kernel"])
    np.testing.assert_array_equal(kernel, weights["params/conv/kernel"])


def test_a_finished_study_is_not_trained_again(trained):
    results, workdir = trained
    before = results.seconds
    again = studies.run_study(own_runs.get_study(), workdir, only=["start-near_seed-0"])
    assert again.seconds == before


def test_other_settings_under_the_same_name_are_refused(trained):
    study = own_runs.get_study(base={"source": "", "classes": 4, "epochs": 3})
    with pytest.raises(
        training.RunFolderError, match=r"holds another run:(.|\n)*base\.epochs is 1 there, 3"
    ):
        studies.run_study(study, trained[1])


def test_a_configuration_names_a_source_as_its_weights(tmp_path):
    starts = studies.Factor(
        "start", {"scratch": {}, "near": {"model.weights": studies.source("near")}}
    )
    sources = [studies.SourceRun("near", {"epochs": 7})]
    study = made_up.make_study(
        base={"model": {"name": "tests.studies.tiny_net:TinyNet"}},
        factors=[starts],
        sources=sources,
        rule=_any_rule("start"),
    )
    runs = studies.plan_all(study)
    assert (runs[0].name, runs[0].config.epochs) == ("source-near_seed-0", 7)
    costs = studies.check_runs(runs)
    assert costs["start-near_seed-2"].sources == ("source-near_seed-2",)
    assert costs["start-scratch_seed-2"].sources == ()
    (near,) = studies.choose_runs(runs, ["start-near_seed-2"])
    made = make_planned(near, RunContext({}, 2, sources=near.sources, workdir=tmp_path))
    folder = tmp_path / "runs" / "source-near_seed-2"
    assert isinstance(made.start, StartingWeights)
    assert made.start.section.weights == str(folder)
    # The folder may be moved.
    assert near.config.model.weights == "source:near"
    assert made.identity == near.config.model_dump()


def _any_rule(factor):
    labels = {"start": ("scratch", "near")}[factor]
    more, less = ({factor: label} for label in labels)
    return studies.Rule("x", studies.Comparison("x", "error", more, less))


def test_an_unfinished_source_is_not_read():
    context = RunContext(
        {}, 0, workdir=StudyFolder(".").workdir, sources={"near": "x"}, is_finished=lambda n: False
    )
    with pytest.raises(SourceNotFinished, match="x is not finished"):
        context.source("near")


def returns_nothing(settings, context):
    return None


def fails(settings, context):
    return settings["nothing"]


def asks_for_another(settings, context):
    if context.labels:
        context.source("nearr")
    return own_runs.make_run(settings, context)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"make_run": returns_nothing}, "run source-near_seed-0.*it returned NoneType; return a"),
        ({"make_run": fails}, "run source-near_seed-0.*it fails with KeyError: 'nothing'"),
        ({"make_run": asks_for_another}, "source: 'nearr' is unknown; did you mean near"),
        ({"make_run": asks_for_another, "sources": []}, r"study\.sources has none"),
        ({"base": {"source": "", "classes": 4, "epoch": 1}}, "epochs is no key of study.base; did"),
        ({"base": {"source": "", "classes": {4}, "epochs": 1}}, "settings are no plain values"),
        ({"base": 3}, r"study\.base: int was given"),
    ],
)
def test_own_runs_that_cannot_work_are_refused_before_any(tmp_path, changes, message):
    study = own_runs.get_study(**changes)
    with pytest.raises(training.ConfigError, match=message):
        studies.run_study(study, tmp_path / "study")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"make_run": 3}, r"make_run: 3 was given; give a function"),
        ({"sources": ["near"]}, r"sources: 'near' was given; give studies\.SourceRun"),
        ({"sources": [own_runs.NEAR, own_runs.NEAR]}, "the name 'near' is used twice"),
    ],
)
def test_wrong_fields_are_refused(changes, message):
    with pytest.raises(training.ConfigError, match=message):
        own_runs.get_study(**changes)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("a b", {}, "'a b' cannot be a source's name"),
        (3, {}, "3 cannot be a source's name"),
        ("near", {3: 4}, "the source has {3: 4}; give its changes"),
    ],
)
def test_wrong_sources_are_refused(name, changes, message):
    with pytest.raises(training.ConfigError, match=message):
        studies.SourceRun(name, changes)


def test_a_configuration_with_an_unknown_source_is_refused():
    starts = studies.Factor("start", {"scratch": {}, "near": {"model.weights": "source:neer"}})
    study = made_up.make_study(
        factors=[starts, made_up.DEPTHS], sources=[own_runs.NEAR], rule=_any_rule("start")
    )
    with pytest.raises(training.ConfigError, match=r"source 'neer' is unknown; did you mean near"):
        studies.plan_runs(study)
