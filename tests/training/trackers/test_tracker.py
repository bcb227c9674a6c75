"""Trackers: what they are given, and a service that fails or is away."""

import logging
import shutil

import pytest

from cnnjax import recipes, training
from cnnjax.training.trackers import tracker as tracker_file


class Service(training.Tracker):
    """Keeps what it is sent, unless it is away; `known` is what it had before."""

    name = "the service"

    def __init__(self, known=None):
        super().__init__()
        self.known, self.away = known or {}, False
        self.calls, self.sent, self.files, self.endings = 0, [], [], []

    def _answer(self):
        self.calls += 1
        if self.away:
            raise ConnectionError("nobody answers")

    def open(self, start):
        self._answer()
        self.start = start
        return self.known

    def send(self, values):
        self._answer()
        self.sent += [(each.split, each.step, dict(each.metrics)) for each in values]

    def attach(self, file):
        self._answer()
        self.files.append(file.name)

    def close(self, ending):
        self._answer()
        self.endings.append(ending)


def lines_of(workdir):
    return [
        (line["split"], line["step"], {k: v for k, v in line.items() if k not in tag})
        for tag in [("split", "step", "epoch")]
        for line in training.read_metrics(workdir)
    ]


def by_split(lines):
    return sorted(lines, key=lambda line: (line[0], line[1]))


@pytest.fixture
def started(finished, tiny_config, data_dir):
    """Starts a run that is finished, with a tracker: a function."""
    workdir, _ = finished

    def start(tracker):
        run = recipes.make_run(tiny_config, data_dir=data_dir)
        tracker.on_start(training.Start(run, workdir, 6, "a" * 32))
        return workdir

    return start


def test_fit_sends_all_metrics_and_how_it_ended(finished, tiny_config, data_dir, tmp_path, caplog):
    """A run that continues: the service has what the folder has, each step once.

    Another service is away, which ends no training.
    """
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    for step in (4, 6):
        shutil.rmtree(workdir / "checkpoints" / f"{step:08d}")
    before = lines_of(workdir)
    # It got the logs up to step 3, and one evaluation; then the process was killed.
    service, away = Service({"train": 3, "validation": 2}), Service()
    away.away = True
    training.fit(
        recipes.make_run(tiny_config, data_dir=data_dir),
        workdir,
        cadence=training.Cadence(log_every=1),
        callbacks=[away, service],
        progress=False,
    )
    assert caplog.text.count("nobody answers") == 1 and away.sent == []
    assert (service.start.step, service.endings) == (2, ["finished"])
    assert service.start.run_id and service.start.workdir == workdir
    steps = [(split, step) for split, step, _ in service.sent]
    assert steps == [("train", 4), ("validation", 4), ("train", 5), ("train", 6), ("validation", 6)]
    assert service.sent[-1][2] == before[-1][2]
    # A report that is written after the end is sent too.
    service.on_report(workdir / "report.html")
    assert service.files == ["report.html"]


def test_a_service_that_is_new_to_a_run_gets_its_past(started):
    service = Service()
    workdir = started(service)
    assert by_split(service.sent) == by_split(lines_of(workdir))


def test_a_service_that_is_away_is_a_warning_and_gets_everything_later(
    started, monkeypatch, caplog
):
    seconds = [0.0]
    monkeypatch.setattr(tracker_file.time, "monotonic", lambda: seconds[0])
    service = Service({"train": 6, "validation": 6})
    service.away = True
    started(service)
    for step in (7, 8, 9):
        service.on_log(step, {"loss": 1 / step})
    warnings = [message for message in caplog.messages if "the service" in message]
    assert warnings == [
        "the service failed, and is tried again later; the training goes on: ConnectionError: "
        "nobody answers"
    ]
    # It is not called again before the pause ends.
    assert service.calls == 1
    service.away, seconds[0] = False, 61.0
    service.on_evaluation(9, {"loss": 0.5})
    assert [step for _, step, _ in service.sent] == [7, 8, 9, 9]
    assert service.sent[-1][0] == "validation"


def test_the_pause_grows_with_what_a_failure_takes(started, monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr(tracker_file.time, "monotonic", lambda: seconds[0])
    service = Service()
    service.away = True
    monkeypatch.setattr(
        Service, "_answer", lambda self: seconds.__setitem__(0, seconds[0] + 10) or 1 / 0
    )
    started(service)
    assert service._paused_until == 10 + 20 * 10


def test_what_is_left_at_the_end_is_counted(started, caplog):
    service = Service({"train": 6, "validation": 6})
    service.away = True
    started(service)
    service.on_log(7, {"loss": 1.0})
    service.on_end("stopped")
    assert "were not sent to the service; the same command sends them" in caplog.text
    assert caplog.text.count("failed, and is tried again") == 1


class Settings:
    def __init__(self, needed):
        pass


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mlfow", r"--tracker: unknown tracker 'mlfow'; did you mean mlflow\?"),
        (f"{__name__}:Settings", "is made without arguments"),
        (f"{__name__}:lines_of", "is made without arguments"),
        ("builtins:dict", "makes dict; give a class derived from training.Tracker"),
        ("no_such_package:X", "no_such_package"),
    ],
)
def test_what_is_no_tracker_is_refused(name, message):
    with pytest.raises(training.ConfigError, match=message):
        training.make_trackers([name])


def test_trackers_are_made_by_name_and_path():
    (made,) = training.make_trackers([f"{__name__}:Service"])
    assert type(made).__name__ == "Service"


def test_the_ending_is_passed_on(tiny_config, data_dir, caplog):
    caplog.set_level(logging.ERROR)
    service = Service()

    class Stop(training.Callback):
        def on_log(self, step, metrics):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        training.fit(
            recipes.make_run(tiny_config, data_dir=data_dir),
            callbacks=[service, Stop()],
            progress=False,
        )
    assert service.endings == ["failed"]
