"""The report that is written while a run is trained."""

import pytest

from cnnjax import reports, training
from cnnjax.reports import report_every
from tests.reports.test_python_run import run

__all__ = ["run"]


class Pages(training.Callback):
    """Keeps the page as it is after each checkpoint."""

    def __init__(self, workdir):
        self.path = workdir / "report.html"
        self.texts = {}

    def on_checkpoint(self, step, folder):
        self.texts[step] = self.path.read_text() if self.path.exists() else None


def test_a_page_is_written_every_few_epochs_and_reloads_itself_until_the_end(run, tmp_path):
    pages = Pages(tmp_path)
    every = reports.ReportEvery(2)
    # Two steps an epoch.
    training.fit(run.replace(epochs=4), tmp_path, callbacks=[every, pages], progress=False)
    assert pages.texts[2] is None
    # The last epoch's report is written after the training.
    text = pages.texts[4]
    assert pages.texts[8] == pages.texts[6] == text
    assert "after step 4 of" in text
    assert text.count('<meta http-equiv="refresh" content="30">') == 1
    assert text.count("Training goes on, and this page reloads itself every 30 seconds.") == 1
    after = pages.path.read_text()
    assert "refresh" not in after and "reloads" not in after
    assert len(after) > 0.9 * len(text)


def test_a_report_that_fails_ends_no_training(run, tmp_path, monkeypatch, caplog):
    def fail(*arguments, **options):
        raise OSError("no room")

    monkeypatch.setattr(report_every, "write_report", fail)
    every = reports.ReportEvery(1)
    every.on_start(training.Start(run, tmp_path, 0, None))
    every.on_checkpoint(2, tmp_path)
    every.on_end("finished")
    assert caplog.messages == [
        "the report of epoch 1 was not written; the training goes on: OSError: no room"
    ]


def test_what_has_no_report_is_refused(run, tmp_path):
    with pytest.raises(training.ConfigError, match="report_every: 0 was given; give 1 or more"):
        reports.ReportEvery(0)
    for given, workdir in ((run, None), (run.replace(test=None), tmp_path / "run")):
        with pytest.raises(training.ConfigError, match="needs a folder and examples to evaluate"):
            training.fit(given, workdir, callbacks=[reports.ReportEvery(1)], progress=False)
