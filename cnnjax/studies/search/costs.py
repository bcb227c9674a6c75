"""The cost of trials, and whether the ends of a space can work at all."""

import json
from collections.abc import Iterator

from cnnjax import recipes
from cnnjax.studies.cost import Cost, check_runs
from cnnjax.studies.plan import PlannedRun, changed
from cnnjax.studies.search.search import Search
from cnnjax.studies.search.space import described
from cnnjax.tasks.values import Score
from cnnjax.training.errors import ConfigError

_FREE = ("optimizer", "schedule", "seed", "ema_decay")
"""Sections that change neither multiply-adds nor the number of images."""


class TrialCosts:
    """The costs of runs; those that differ in what costs nothing are counted once.

    Args:
        data_dir: TFDS data folder; None means TFDS's default.
    """

    def __init__(self, data_dir: str | None = None):
        self._data_dir = data_dir
        self._known: dict[str, Cost] = {}

    def of(self, run: PlannedRun) -> Cost:
        """Returns what a run costs, if it is trained in full.

        Args:
            run: the run.

        Raises:
            ConfigError: it cannot work.
            DataError: its dataset is not prepared.
        """
        values = run.config.model_dump()
        key = json.dumps({name: values[name] for name in values if name not in _FREE})
        if key not in self._known:
            self._known[key] = check_runs([run], self._data_dir)[run.name]
        return self._known[key]

    def of_base(self, search: Search) -> Cost:
        """Returns what the base of a search costs.

        Args:
            search: the search.
        """
        return self.of(PlannedRun("the base", {}, search.config.seed, search.config))

    def of_trial(self, run: PlannedRun, otherwise: Cost) -> Cost:
        """Returns what a trial costs; one that cannot work fails when it starts, and not before.

        Args:
            run: the trial's run.
            otherwise: what is returned then.
        """
        try:
            return self.of(run)
        except ConfigError:
            return otherwise


def check_space(search: Search, costs: TrialCosts) -> Cost:
    """Refuses a search whose base or the ends of whose ranges cannot work; trains nothing.

    Args:
        search: the search.
        costs: of its runs.

    Returns:
        The cost of the base.

    Raises:
        ConfigError: a part is unknown or does not fit another; the message names the key.
        DataError: the dataset is not prepared.
    """
    cost = costs.of_base(search)
    for key, text, run in _ends(search):
        try:
            costs.of(run)
        except ConfigError as error:
            reason = str(error).partition(f"{run.name}: ")[2] or str(error)
            raise ConfigError(f"search.space: {text} does not fit {key}: {reason}") from error
    return cost


def _ends(search: Search) -> Iterator[tuple[str, str, PlannedRun]]:
    """Yields the base with one key changed to each end of its range, and names of both."""
    base = search.config.model_dump()
    for key, distribution in search.space.items():
        for value in distribution.ends():
            config = recipes.parse_config(changed(base, {key: value}))
            yield key, described(distribution), PlannedRun(f"{key}={value}", {}, 0, config)


def score_of(search: Search) -> Score:
    """Returns the metric that chooses, and its direction.

    Args:
        search: the search.

    Raises:
        ConfigError: the direction of its metric is not known.
    """
    own = recipes.make_blueprint(search.config).task.score
    name, higher = search.metric, search.higher_is_better
    if name is None:
        return Score(own.metric, own.higher_is_better if higher is None else higher)
    if higher is None:
        known = {"loss": False, own.metric: own.higher_is_better}
        if name not in known:
            raise ConfigError(
                f"search.higher_is_better: the direction of {name!r} is not known; give True or "
                "False"
            )
        higher = known[name]
    return Score(name, higher)
