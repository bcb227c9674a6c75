"""The description of a search over settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from cnnjax import recipes
from cnnjax.nearest import did_you_mean
from cnnjax.studies.plan import changed
from cnnjax.studies.search.space import Distribution, described
from cnnjax.studies.study import Source
from cnnjax.training.errors import ConfigError
from cnnjax.training.loop.training_loop import Cadence

FIXED = ("seed", "task.name", "data.name", "data.validation_examples")
"""Keys that are the same in all trials: otherwise their values could not be compared."""


@dataclass(frozen=True)
class Halving:
    """Asynchronous successive halving (ASHA): a trial that is worse than others ends early.

    A trial is compared after `first` epochs, after `first * factor`, and so on, with all that have
    come as far: of these, the best 1 in `factor` go on.

    Attributes:
        first: epochs before the first comparison.
        factor: how much longer each next comparison is away, and how few go on.

    Raises:
        ConfigError: a number is out of its range.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.
    """

    first: int = 1
    factor: int = 3

    def __post_init__(self) -> None:
        """Refuses numbers out of range."""
        for name, least in (("first", 1), ("factor", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"search.pruning: {name} is {value!r}; give a whole number from {least} on"
                )


@dataclass(frozen=True, kw_only=True)
class Search:
    """Trials of random settings; the best one on validation examples is retrained and tested.

    Attributes:
        question: what is searched for.
        base: the configuration that all trials start from; what `recipes.parse_config` takes. It
            holds out `data.validation_examples`, on which alone the best setting is chosen.
        space: distributions by dotted key of the configuration.
        trials: how many settings are tried; None where the budget alone ends the search.
        budget: multiply-adds of one image forward times images trained on, of all trials together;
            None for no bound. A trial starts only if it fits in full.
        metric: by which settings are compared; None for the task's own, such as the accuracy.
        higher_is_better: its direction; None where it is the task's own metric, or the loss.
        pruning: how bad trials are ended early; None to train all in full.
        seeds: the best setting is retrained with each of them.
        retrain_on: "train+validation" trains on the examples that were held out, too; "train" does
            not.
        seed: which settings are drawn.
        cadence: how often each run logs and saves.
        source: the file that the search was read from; None for one made in Python.

    Raises:
        ConfigError: a key is unknown, a distribution does not fit its key, or nothing is held out.
    """

    question: str
    base: Any
    space: Mapping[str, Distribution]
    trials: int | None = None
    budget: float | None = None
    metric: str | None = None
    higher_is_better: bool | None = None
    pruning: Halving | None = None
    seeds: Sequence[int] = (0, 1, 2)
    retrain_on: Literal["train", "train+validation"] = "train+validation"
    seed: int = 0
    cadence: Cadence = Cadence(log_every=50)  # noqa: RUF009 (it cannot be changed)
    source: Source | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be searched, before any network is made."""
        self._check_numbers()
        self._check_space()
        if not self.config.data.validation_examples:
            raise ConfigError(
                "search.base: data.validation_examples is 0, so that settings would be chosen on "
                "the test split; hold out some, such as a tenth of the training examples"
            )
        if self.pruning is not None and not isinstance(self.pruning, Halving):
            raise ConfigError(
                f"search.pruning: {self.pruning!r:.60} was given; give studies.Halving(...) or None"
            )
        epochs = self.space.get("epochs")
        longest = max(epochs.ends()) if epochs else self.config.epochs
        if self.pruning is not None and self.pruning.first >= longest:
            raise ConfigError(
                f"search.pruning: first is {self.pruning.first}, and a trial has {longest} epochs, "
                "so that none would end early; give fewer"
            )

    @cached_property
    def config(self) -> recipes.RunConfig:
        """The base, checked."""
        return recipes.parse_config(self.base)

    def _check_numbers(self) -> None:
        if self.trials is None and self.budget is None:
            raise ConfigError("search: neither trials nor budget was given; give at least one")
        if self.trials is not None and not _is_count(self.trials, 1):
            raise ConfigError(f"search.trials: {self.trials!r} was given; give 1 or more")
        budget = self.budget
        if budget is not None and not (_is_number(budget) and 0 < budget < 1e300):
            raise ConfigError(f"search.budget: {budget!r} was given; give a number above 0")
        if not _is_count(self.seed, 0):
            raise ConfigError(f"search.seed: {self.seed!r} was given; give 0 or more")
        seeds = list(self.seeds)
        if not seeds or not all(_is_count(s, 0) for s in seeds) or len(set(seeds)) < len(seeds):
            raise ConfigError(
                f"search.seeds: {seeds} was given; give different whole numbers, one at least"
            )
        if self.retrain_on not in ("train", "train+validation"):
            raise ConfigError(
                f"search.retrain_on: {self.retrain_on!r} was given; give 'train' or "
                "'train+validation'"
            )

    def _check_space(self) -> None:
        if not isinstance(self.space, Mapping) or not self.space:
            raise ConfigError(
                "search.space: give distributions by key, such as "
                '{"optimizer.learning_rate": studies.LogUniform(1e-4, 1e-1)}'
            )
        base = self.config.model_dump()
        for key, distribution in self.space.items():
            if not isinstance(distribution, Distribution):
                raise ConfigError(
                    f"search.space: {key} has {distribution!r:.60}; give studies.Uniform, "
                    "LogUniform, Integers or Choices"
                )
            if key in FIXED:
                raise ConfigError(
                    f"search.space: {key} is the same in all trials, or they could not be "
                    "compared; leave it out"
                )
            for value in distribution.ends():
                try:
                    recipes.parse_config(changed(base, {key: value}))
                except ConfigError as error:
                    raise ConfigError(
                        f"search.space: {described(distribution)} does not fit {key}: {error}"
                    ) from None
                except (TypeError, AttributeError):
                    table = key.rpartition(".")[0]
                    raise ConfigError(
                        f"search.space: config.{key} is unknown: config.{table} is a value, and no "
                        "table"
                    ) from None


def check_metric(name: str, metrics: Mapping[str, float]) -> None:
    """Refuses a metric that an evaluation does not have.

    Args:
        name: of the metric.
        metrics: those that there are.

    Raises:
        UnknownMetric: it is none of them.
    """
    if name not in metrics:
        hint = did_you_mean(name, metrics, count=1).strip() or f"there are {', '.join(metrics)}"
        raise UnknownMetric(f"search.metric: the trials have no metric {name!r}; {hint}")


class UnknownMetric(ConfigError):
    """No trial has the metric by which trials are compared, so that none is worth training."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
