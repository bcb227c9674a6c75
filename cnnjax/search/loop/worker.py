"""The work of one process of a search: it claims cells, and evaluates them."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnnjax.search.cells.genome import Genome
from cnnjax.search.errors import SearchError
from cnnjax.search.loop.cell_search import CellSearch
from cnnjax.search.loop.folder import CellFolder
from cnnjax.search.strategies.strategy import Evaluated, propose_at
from cnnjax.studies.claims import RENEW_SECONDS, STALE_SECONDS
from cnnjax.studies.renewal import ClaimLost, Renewal
from cnnjax.training.errors import ConfigError, RunFolderError, TrainingDiverged, TrainingStopped
from cnnjax.training.loop.stopping import StopRequest

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CellOptions:
    """How a process works on a search.

    Attributes:
        renew_seconds: time between two renewals of a claim.
        stale_seconds: after how many seconds without renewal a claim may be taken.
        poll_seconds: time between two looks at the claims of others.
    """

    renew_seconds: float = RENEW_SECONDS
    stale_seconds: float = STALE_SECONDS
    poll_seconds: float = 1.0


class CellWorker:
    """One process's work on a search.

    Args:
        search: the search.
        folder: its folder, which was started.
        options: how it works.
    """

    def __init__(self, search: CellSearch, folder: CellFolder, options: CellOptions):
        self._search, self._folder, self._options = search, folder, options
        self._claims = folder.claims()
        self._claims.stale_seconds = options.stale_seconds

    def work(self) -> None:
        """Evaluates cells, chooses and tests, until nothing is left.

        Raises:
            TrainingStopped: the process received a signal to stop.
            SearchError: a cell could not be evaluated.
            RunFolderError: the folder cannot be used.
        """
        with StopRequest() as stop:
            self._until_done(self._open_evaluations, self._evaluate, stop)
            self._until_done(self._open_choice, self._choose, stop)
            self._until_done(self._open_tests, self._test, stop)

    def _until_done(
        self,
        look: Callable[[], tuple[dict[str, int], bool]],
        act: Callable[[int], None],
        stop: StopRequest,
    ) -> None:
        """Claims and does what is open, until a look shows that all is done."""
        while True:
            tasks, done = look()
            if done:
                return
            if stop.signal is not None:
                raise TrainingStopped(
                    f"stopped by {stop.signal}; start the same command again to go on"
                )
            if not any(self._claimed(name, number, look, act) for name, number in tasks.items()):
                time.sleep(self._options.poll_seconds)

    def _claimed(
        self,
        name: str,
        number: int,
        look: Callable[[], tuple[dict[str, int], bool]],
        act: Callable[[int], None],
    ) -> bool:
        """Returns whether a task could be claimed; then it is done, or was lost to another one."""
        claim = self._claims.acquire(name)
        if claim is None:
            return False
        with Renewal(claim, self._options.renew_seconds) as renewal:
            # Another process may have done it between the look and the claim.
            if name in look()[0]:
                try:
                    act(number)
                    renewal.check()
                except ClaimLost:
                    # Both processes compute the same, so that what was written stays right.
                    _logger.warning("%s was claimed by another process", name)
        return True

    def _open_evaluations(self) -> tuple[dict[str, int], bool]:
        """Returns the cells that can be proposed now and have no score, and whether all have."""
        history = self._folder.history()
        total = self._search.evaluations
        # A cell needs all evaluations but the newest `ahead - 1` before it.
        whole = next((n for n in range(total) if n not in history), total)
        numbers = range(whole, min(total, whole + self._search.ahead))
        tasks = {f"cell-{n:05d}": n for n in numbers if n not in history}
        return tasks, whole == total

    def _evaluate(self, number: int) -> None:
        search, start = self._search, time.monotonic()
        history = self._folder.history()
        genome = propose_at(
            *(search.strategy, search.space, [history[n] for n in range(number) if n in history]),
            number,
            seed=search.seed,
            ahead=search.ahead,
            allowed=search.allows,
        )
        score = self._score(genome, number)
        cost, seconds = search.cost(genome), time.monotonic() - start
        evaluated = Evaluated(number, genome, score, cost.multiply_adds, cost.parameters, seconds)
        self._folder.write_evaluation(evaluated)
        best = max(score, *(each.score for each in history.values()), -math.inf)
        _logger.info(
            "cell %d of %d: %.4f with %s multiply-adds in %.0f s; best %.4f",
            *(number + 1, search.evaluations, score, f"{cost.multiply_adds:,}", seconds, best),
        )

    def _score(self, genome: Genome, number: int) -> float:
        folder = self._folder.workdir / "runs" / f"cell-{number:05d}"
        try:
            score = self._search.evaluator.score(self._search.net(genome), number, folder)
        except TrainingDiverged as error:
            _logger.warning("cell %d diverged: %s", number, error)
            return 0.0
        except (TrainingStopped, ConfigError, RunFolderError):
            raise
        except Exception as error:
            raise SearchError(
                f"search: cell {number}, {genome}, could not be evaluated: "
                f"{type(error).__name__}: {error}"
            ) from error
        # A score of NaN would win or lose comparisons by chance.
        return float(score) if math.isfinite(score) else 0.0

    def _open_choice(self) -> tuple[dict[str, int], bool]:
        done = self._folder.choice() is not None
        return ({} if done else {"choice": 0}), done

    def _choose(self, number: int) -> None:
        del number
        history = self._folder.history()
        self._folder.choose([history[n] for n in range(self._search.evaluations)])

    def _open_tests(self) -> tuple[dict[str, int], bool]:
        left = [s for s in self._search.final_seeds if self._folder.tested(s) is None]
        return {f"final-seed-{seed}": seed for seed in left}, not left

    def _test(self, seed: int) -> None:
        start = time.monotonic()
        choice: Any = self._folder.choice()
        net = self._search.net(choice.genome)
        folder = self._folder.workdir / "runs" / f"final-seed-{seed}"
        metrics = self._search.evaluator.test(net, seed, folder)
        self._folder.write_tested(seed, metrics, time.monotonic() - start)
        _logger.info("chosen cell, seed %d: %s", seed, metrics)
