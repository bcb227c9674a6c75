"""Runs in MLflow: parameters, metrics by step, and the report as an artifact."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax import extras
from cnnjax.training.callbacks import Ending, Start
from cnnjax.training.folder.environment import describe_code
from cnnjax.training.identity import run_identity
from cnnjax.training.trackers.tracker import Measured, Tracker

RUN_TAG = "cnnjax.run_id"
"""The tag by which a run is found again when it continues."""

_STATUS: Mapping[Ending, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

_METRICS, _PARAMETERS, _LENGTH = 1000, 100, 6000
"""What MLflow takes at once: metrics, parameters, characters of a parameter's value."""

_SETTINGS = {
    # Nothing is sent to anyone but the address that was given.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A training waits while a request is repeated; MLflow's own settings would let it wait for
    # minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class MlflowTracker(Tracker):
    """Sends runs to MLflow, by default into `mlflow.db` of the current folder.

    A run that continues is appended to, also from another process.

    Args:
        address: of the service, such as "http://127.0.0.1:5000" or "sqlite:////runs/mlflow.db";
            None for MLFLOW_TRACKING_URI, and where that is not set for "sqlite:///mlflow.db".
        experiment: the name that runs are listed under; None for MLFLOW_EXPERIMENT_NAME, and where
            that is not set for "cnnjax".

    Raises:
        MissingPackage: a package of the extra `[mlflow]` is missing.
    """

    name = "MLflow"

    def __init__(self, address: str | None = None, experiment: str | None = None):
        super().__init__()
        extras.check_installed("mlflow", "mlflow", "sqlalchemy", "alembic")
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        default = f"sqlite:///{Path('mlflow.db').absolute()}"
        self.address = address or os.environ.get("MLFLOW_TRACKING_URI") or default
        self.experiment = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "cnnjax"
        self._client: Any = None
        self._run_id = ""

    def open(self, start: Start) -> Mapping[str, int]:
        """See `Tracker.open`.

        Args:
            start: the run.
        """
        if self._client is None:
            self._client = _connect(self.address)
        run = self._find(start) or self._create(start)
        self._run_id = run.info.run_id
        self._client.update_run(self._run_id, status="RUNNING")
        self._send_parameters(start, run.data.params)
        last: dict[str, int] = {}
        for name in run.data.metrics:
            history = self._client.get_metric_history(self._run_id, name)
            split = name.partition("/")[0]
            last[split] = max(last.get(split, 0), *(metric.step for metric in history))
        return last

    def send(self, values: Sequence[Measured]) -> None:
        """See `Tracker.send`.

        Args:
            values: the metrics.
        """
        with extras.installed_with("mlflow"):
            from mlflow.entities import Metric

        metrics = [
            Metric(_key(f"{each.split}/{name}"), value, int(1000 * each.time), each.step)
            for each in values
            for name, value in each.metrics.items()
        ]
        for some in _cut(metrics, _METRICS):
            self._client.log_batch(self._run_id, metrics=some)

    def attach(self, file: Path) -> None:
        """See `Tracker.attach`.

        Args:
            file: its path.
        """
        self._client.log_artifact(self._run_id, str(file))

    def close(self, ending: Ending) -> None:
        """See `Tracker.close`.

        Args:
            ending: how the run ended.
        """
        self._client.set_terminated(self._run_id, _STATUS[ending])

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is not None:
            return found.experiment_id
        place = None
        if self.address.startswith("sqlite:///"):
            # MLflow's own place would be in the folder that each process happens to run in.
            database = Path(self.address.removeprefix("sqlite:///").partition("?")[0])
            place = (database.absolute().parent / "mlartifacts").as_uri()
        return self._client.create_experiment(self.experiment, artifact_location=place)

    def _find(self, start: Start) -> Any:
        if start.run_id is None:
            return None
        query = f"tags.`{RUN_TAG}` = '{start.run_id}'"
        found = self._client.search_runs([self._experiment_id()], query, max_results=1)
        return found[0] if found else None

    def _create(self, start: Start) -> Any:
        model, dataset = start.run.names
        name = model if start.workdir is None else start.workdir.absolute().name
        tags = {"model": model, "dataset": dataset, **_code_tags()}
        if start.run_id is not None:
            tags |= {RUN_TAG: start.run_id, "workdir": str(start.workdir)}
        return self._client.create_run(self._experiment_id(), tags=tags, run_name=name)

    def _send_parameters(self, start: Start, known: Mapping[str, str]) -> None:
        """Sends the parameters that MLflow does not have, which is all of them for a new run."""
        with extras.installed_with("mlflow"):
            from mlflow.entities import Param

        flat = {_key(name): str(value)[:_LENGTH] for name, value in _flat(run_identity(start.run))}
        params = [Param(name, value) for name, value in flat.items() if name not in known]
        for some in _cut(params, _PARAMETERS):
            self._client.log_batch(self._run_id, params=some)


def _connect(address: str) -> Any:
    with extras.installed_with("mlflow"):
        from mlflow.tracking import MlflowClient

    # They describe each step of making a database.
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=address)


def _code_tags() -> dict[str, str]:
    commit = describe_code().get("commit")
    return {"mlflow.source.git.commit": commit} if isinstance(commit, str) else {}


def _key(name: str) -> str:
    """Returns a name with the characters that MLflow allows."""
    return re.sub(r"[^A-Za-z0-9_\-. :/]", "_", name)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the leaves of nested tables by dotted name, but for those that are None or empty."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in (None, "", (), []):
            yield f"{prefix}{name}", value


def _cut(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(values), size):
        yield values[first : first + size]
