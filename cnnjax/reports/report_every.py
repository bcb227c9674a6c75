"""The report of a run, written again and again while the run is trained."""

import logging
import re
from pathlib import Path

from cnnjax import data, training
from cnnjax.reports.page import write_report
from cnnjax.reports.template import check_installed
from cnnjax.writing import write_text

RELOAD_SECONDS = 30
"""After this many seconds, a page that is open reloads itself while training goes on."""

_RELOADS = re.compile(r'<meta http-equiv="refresh"[^>]*>\n|<span class="reloads">[^<]*</span>')
"""What makes a page reload itself, and its sentence on that."""

_logger = logging.getLogger(__name__)


class ReportEvery(training.Callback):
    """Writes `report.html` every few epochs, at the first checkpoint from then on.

    An open page reloads itself until the training has ended. A report that fails is a warning, and
    ends no training.

    Args:
        epochs: between two reports.
        data_dir: TFDS data folder; None for TFDS's default.
        read: how images are read that are not in memory.

    Raises:
        ConfigError: `epochs` is less than 1.
        MissingPackage: a package of the extra `[report]` is missing.
    """

    def __init__(
        self,
        epochs: int,
        *,
        data_dir: str | None = None,
        read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
    ):
        if epochs < 1:
            raise training.ConfigError(f"report_every: {epochs} was given; give 1 or more")
        check_installed()
        self._epochs = epochs
        self._data_dir, self._read = data_dir, read
        self._start: training.Start | None = None
        self._reported = 0
        self._page: Path | None = None

    def on_start(self, start: training.Start) -> None:
        """Notes the run; see `Callback.on_start`.

        Args:
            start: the run.

        Raises:
            ConfigError: it has no folder, or nothing to evaluate.
        """
        if start.workdir is None or start.run.test is None:
            raise training.ConfigError(
                "report_every: a report needs a folder and examples to evaluate; give both, or "
                "leave it out"
            )
        self._start = start
        self._reported = start.step // start.run.epoch_steps

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """Writes the report if it is due.

        Args:
            step: steps done.
            folder: not used.
        """
        del folder
        start = self._start
        if start is None or start.workdir is None:
            return
        epoch = step // start.run.epoch_steps
        # The last report is written when the training has ended.
        if epoch - self._reported < self._epochs or step >= start.run.total_steps:
            return
        self._reported = epoch
        try:
            self._page = write_report(
                start.workdir,
                # One that was made in Python cannot be made from its folder.
                run=start.run if start.run.identity is None else None,
                data_dir=self._data_dir,
                read=self._read,
                reload_seconds=RELOAD_SECONDS,
            )
        except Exception as error:
            # Whatever it is, the training is worth more.
            _logger.warning(
                "the report of epoch %d was not written; the training goes on: %s: %s",
                *(epoch, type(error).__name__, error),
            )

    def on_end(self, ending: training.Ending) -> None:
        """Makes the page one that does not reload itself.

        Args:
            ending: not used.
        """
        del ending
        if self._page is None:
            return
        try:
            write_text(self._page, _RELOADS.sub("", self._page.read_text()))
        except OSError as error:
            _logger.warning("%s goes on to reload itself: %s", self._page, error)
