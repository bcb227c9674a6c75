"""How a cell gets its score, and how the best one is trained from scratch and tested."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import flax.linen as linen
import numpy as np

from cnnjax.search.cells.training import QuickTraining, Sets, train_quickly
from cnnjax.search.errors import SearchError
from cnnjax.training.fit import fit
from cnnjax.training.run import Run


class Evaluator(abc.ABC):
    """Gives cells their scores; subclasses are dataclasses that can be pickled."""

    @abc.abstractmethod
    def score(self, net: linen.Module, number: int, folder: Path) -> float:
        """Returns the score of a network on held-out examples: the larger, the better.

        Args:
            net: the network of a cell.
            number: of the evaluation.
            folder: for files of this evaluation; it need not exist.
        """

    @abc.abstractmethod
    def test(self, net: linen.Module, seed: int, folder: Path) -> dict[str, float]:
        """Returns metrics on test examples, after a training from scratch.

        Args:
            net: the network of the chosen cell.
            seed: of the training.
            folder: for files of this training; it need not exist.
        """

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Returns the evaluator as JSON values, which distinguish a search from others."""


def _path_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", repr(function))
    return f"{getattr(function, '__module__', '')}:{name}"


@dataclass(frozen=True)
class QuickEvaluator(Evaluator):
    """The mean accuracy of a few networks that are trained side by side, for small images.

    The chosen cell is trained on training and validation examples together.

    Attributes:
        load: returns the examples; a function of a module, so that other processes find it.
        training: how a network is trained while cells are compared.
        final: how the chosen one is trained; None for the same.
        seeds: of the networks whose mean is the score.
    """

    load: Callable[[], Sets]
    training: QuickTraining = QuickTraining()  # noqa: RUF009 (it cannot be changed)
    final: QuickTraining | None = None
    seeds: tuple[int, ...] = (0,)

    def score(self, net: linen.Module, number: int, folder: Path) -> float:
        """Returns the mean accuracy on the validation examples.

        Args:
            net: the network of a cell.
            number: not used: cells are compared with the same seeds.
            folder: not used.
        """
        del number, folder
        sets = self.load()
        held_out = {"validation": sets.validation}
        counts = train_quickly(net, sets.train, held_out, self.seeds, self.training)
        return float(np.mean(counts["validation"])) / len(sets.validation[1])

    def test(self, net: linen.Module, seed: int, folder: Path) -> dict[str, float]:
        """Returns the accuracy on the test examples.

        Args:
            net: the network of the chosen cell.
            seed: of the training.
            folder: not used.
        """
        del folder
        sets = self.load()
        pairs = zip(sets.train, sets.validation, strict=True)
        images, labels = (np.concatenate(pair) for pair in pairs)
        counts = train_quickly(
            net, (images, labels), {"test": sets.test}, [seed], self.final or self.training
        )
        return {"accuracy": counts["test"][0] / len(sets.test[1])}

    def describe(self) -> dict[str, Any]:
        """Returns the evaluator as JSON values."""
        return {
            "name": type(self).__name__,
            "load": _path_of(self.load),
            "training": asdict(self.training),
            "final": None if self.final is None else asdict(self.final),
            "seeds": list(self.seeds),
        }


@dataclass(frozen=True)
class RunEvaluator(Evaluator):
    """A metric of whole training runs, for any task and data.

    Attributes:
        make_run: returns a run of a network and a seed, whose `test` examples are held-out training
            examples; a function of a module, so that other processes find it.
        make_final_run: returns the run of the chosen network, with the test split.
        metric: the metric that is the score.
        sign: 1 where a larger metric is better, -1 where a smaller one is.
    """

    make_run: Callable[[linen.Module, int], Run]
    make_final_run: Callable[[linen.Module, int], Run]
    metric: str = "accuracy"
    sign: int = 1

    def __post_init__(self) -> None:
        """Refuses a sign of another value."""
        if self.sign not in (1, -1):
            raise SearchError(f"evaluator.sign: {self.sign!r} was given; give 1 or -1")

    def score(self, net: linen.Module, number: int, folder: Path) -> float:
        """Returns the metric after a run, which goes on where it was stopped.

        Args:
            net: the network of a cell.
            number: not used: cells are compared with the same seed.
            folder: the run's.

        Raises:
            SearchError: the run has no such metric.
        """
        del number
        found = fit(self.make_run(net, 0), folder, progress=False).metrics
        return self.sign * float(self._metric(found))

    def test(self, net: linen.Module, seed: int, folder: Path) -> dict[str, float]:
        """Returns the metrics of the final run.

        Args:
            net: the network of the chosen cell.
            seed: of the run.
            folder: the run's.
        """
        found = fit(self.make_final_run(net, seed), folder, progress=False).metrics
        return {name: float(value) for name, value in found.items()}

    def describe(self) -> dict[str, Any]:
        """Returns the evaluator as JSON values."""
        return {
            "name": type(self).__name__,
            "make_run": _path_of(self.make_run),
            "make_final_run": _path_of(self.make_final_run),
            "metric": self.metric,
            "sign": self.sign,
        }

    def _metric(self, found: Mapping[str, float]) -> float:
        if self.metric not in found:
            raise SearchError(
                f"evaluator.metric: the run has no {self.metric!r}; it has "
                f"{', '.join(sorted(found)) or 'none: give it examples to evaluate'}"
            )
        return found[self.metric]
