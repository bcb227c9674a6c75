"""`cnnjax train` with a tracker and with reports while it trains."""

import pytest

from cnnjax import training
from tests.helpers.processes import ROOT, run_python

pytestmark = [pytest.mark.process, pytest.mark.slow]

TRACKER = """
from cnnjax import training


class Printed(training.Tracker):
    def open(self, start):
        return {}

    def send(self, values):
        print("sent", *(each.step for each in values))

    def attach(self, file):
        print("attached", file.name)

    def close(self, ending):
        print("closed", ending)
"""


def train(environment, tmp_path, *flags):
    (tmp_path / "mine.py").write_text(TRACKER)
    config = ("--config=lenet5_digits", "--config.epochs=3", f"--workdir={tmp_path / 'run'}")
    return run_python(
        *("-m", "cnnjax", "train", *config, "--noprogress", *flags),
        cwd=tmp_path,
        environment=environment | {"PYTHONPATH": str(ROOT)},
    )


def test_a_tracker_gets_the_metrics_and_the_report(environment, tmp_path):
    done = train(environment, tmp_path, "--tracker=mine:Printed", "--report_every=1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "closed finished" in lines and lines.index("attached report.html") > lines.index(
        "closed finished"
    )
    steps = {int(step) for line in lines if line.startswith("sent") for step in line.split()[1:]}
    assert steps >= {line["step"] for line in training.read_metrics(tmp_path / "run")}
    assert "refresh" not in (tmp_path / "run" / "report.html").read_text()
    assert "was not written" not in done.stderr


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--tracker=mflow", "--tracker: unknown tracker 'mflow'; did you mean mlflow?"),
        ("--tracker=mine:TRACKER", "--tracker: "),
        ("--report_every=-1", "report_every"),
    ],
)
def test_wrong_flags_are_named_before_any_work(environment, tmp_path, flag, message):
    done = train(environment, tmp_path, flag)
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
