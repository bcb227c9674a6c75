"""The renewal of a claim while its run trains, and the end of a run whose claim was lost."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from cnnjax.studies.claims import RENEW_SECONDS, Claim
from cnnjax.training.callbacks import Callback

_logger = logging.getLogger(__name__)


class ClaimLost(Exception):
    """Another process has taken the claim of the run that this one trains."""


class Renewal:
    """Renews a claim every few seconds within its block, and releases it at the end.

    Args:
        claim: the claim.
        seconds: time between two renewals.

    Attributes:
        lost: whether a renewal found that another process has the claim now.
    """

    def __init__(self, claim: Claim, seconds: float = RENEW_SECONDS):
        self.claim = claim
        self.lost = False
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def check(self) -> None:
        """Ends the work on a run whose claim was lost.

        Raises:
            ClaimLost: another process has the claim.
        """
        if self.lost:
            raise ClaimLost(f"{self.claim.run} was claimed by another process")

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds):
            try:
                renewed = self.claim.renew()
            except OSError as error:
                # A network that is away for a moment is no reason to stop; a claim that cannot be
                # renewed for long is taken, which a later renewal finds.
                _logger.warning("the claim of %s is not renewed: %s", self.claim.run, error)
                continue
            if not renewed:
                self.lost = True
                return

    def __enter__(self) -> "Renewal":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if not self.lost:
            self.claim.release()


class StopWithoutClaim(Callback):
    """Ends a run at its next log, evaluation or checkpoint after its claim was lost.

    Args:
        renewal: that of the run's claim.
    """

    def __init__(self, renewal: Renewal):
        self._renewal = renewal

    def on_log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Checks the claim.

        Args:
            step: not used.
            metrics: not used.
        """
        del step, metrics
        self._renewal.check()

    def on_evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Checks the claim.

        Args:
            step: not used.
            metrics: not used.
        """
        del step, metrics
        self._renewal.check()

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """Checks the claim.

        Args:
            step: not used.
            folder: not used.
        """
        del step, folder
        self._renewal.check()
