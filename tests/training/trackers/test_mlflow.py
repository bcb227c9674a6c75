"""The tracker of MLflow against the real package."""

import shutil
import sys
import warnings
from pathlib import Path

import pytest

from cnnjax import recipes, training

pytest.importorskip("mlflow", reason="needs the extra [mlflow]")
pytestmark = [
    # Of MLflow's and SQLAlchemy's own code.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def read(address):
    """Returns the one run, the values of each metric by step, and a client."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("cnnjax")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    values = {
        name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    return run, values, client


def expected(workdir, split, name):
    return [
        (line["step"], pytest.approx(line[name]))
        for line in training.read_metrics(workdir)
        if line["split"] == split
    ]


@pytest.fixture(params=["file", pytest.param("sqlite", marks=pytest.mark.slow)])
def address(request, tmp_path, monkeypatch):
    """A database, as users have it; and, much faster, the folder that MLflow no longer extends."""
    if request.param == "file":
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        return (tmp_path / "mlruns").as_uri()
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def fit(config, workdir, address, data_dir):
    tracker = training.MlflowTracker(address)
    training.fit(
        recipes.make_run(config, data_dir=data_dir),
        workdir,
        cadence=training.Cadence(log_every=1),
        callbacks=[tracker],
        progress=False,
    )
    return tracker


def test_a_run_that_continues_is_one_run_of_mlflow(
    finished, tiny_config, data_dir, tmp_path, address
):
    """Parameters, every metric once by step, and the report."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    # The first start gets what the folder has; the second one trains the last epoch again.
    fit(tiny_config, workdir, address, data_dir)
    shutil.rmtree(workdir / "checkpoints" / "00000006")
    tracker = fit(tiny_config, workdir, address, data_dir)
    page = workdir / "report.html"
    page.write_text("the report")
    tracker.on_report(page)

    run, values, client = read(address)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    assert run.data.params["optimizer.learning_rate"] == "0.003"
    assert run.data.params["model.name"] == "lenet5"
    assert run.data.tags["dataset"] == "digits"
    for split in ("train", "validation"):
        for name in ("loss", "accuracy"):
            assert values[f"{split}/{name}"] == expected(workdir, split, name)
    assert "train/learning_rate" in values
    (artifact,) = client.list_artifacts(run.info.run_id)
    assert artifact.path == "report.html"
    place = client.download_artifacts(run.info.run_id, "report.html", str(tmp_path))
    assert Path(place).read_text() == "the report"


def test_a_server_that_cannot_be_reached_is_a_warning(
    finished, tiny_config, data_dir, caplog, tmp_path
):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shutil.copytree(finished[0], tmp_path / "run")
        fit(tiny_config, tmp_path / "run", "http://127.0.0.1:9", data_dir)
    assert caplog.text.count("MLflow failed, and is tried again later; the training goes on") == 1
    assert "steps were not sent to MLflow; the same command sends them" in caplog.text


def test_defaults_are_mlflows_own_variables(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert training.MlflowTracker().address == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    made = training.MlflowTracker()
    assert (made.address, made.experiment) == ("http://127.0.0.1:5000", "mine")
    assert training.MlflowTracker("sqlite:///x.db").address == "sqlite:///x.db"


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError, match=r'needs mlflow.*"cnnjax\[mlflow\]"'):
        training.make_trackers(["mlflow"])
