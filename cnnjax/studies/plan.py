"""The runs of a study, each with its name and its ordinary configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnjax import recipes
from cnnjax.nearest import did_you_mean
from cnnjax.studies.factors import SEED, Row, grid
from cnnjax.studies.study import Study
from cnnjax.training.errors import ConfigError


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study.

    Attributes:
        name: of its folder, such as "kind-plain_depth-8_seed-0".
        labels: its label of each factor.
        seed: the study's seed that it belongs to.
        config: its configuration.
    """

    name: str
    labels: Mapping[str, str]
    seed: int
    config: recipes.RunConfig

    @property
    def setting(self) -> str:
        """The name without the seed: the same for runs that are repeated."""
        return setting_name(self.labels)


def plan_runs(study: Study) -> list[PlannedRun]:
    """Returns all runs of a study, seed after seed, so that early results cover all settings.

    Args:
        study: the study.

    Raises:
        ConfigError: a change names an unknown key or has a wrong value, or two runs have one name;
            the message gives the run.
    """
    rows = list(grid(study.factors))
    base = recipes.parse_config(study.base).model_dump()
    runs = [_plan(base, row, seed) for seed in study.seeds for row in rows]
    names = [run.name for run in runs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"study.factors: two runs are named {twice[0]}; change a label")
    return runs


def choose_runs(runs: Sequence[PlannedRun], names: Sequence[str]) -> list[PlannedRun]:
    """Returns the runs of some names; all where there are no names.

    Args:
        runs: the runs of a study.
        names: which ones.

    Raises:
        ConfigError: a name is unknown; the nearest one is given.
    """
    by_name = {run.name: run for run in runs}
    for name in names:
        if name not in by_name:
            hint = did_you_mean(name, by_name, count=1) or "--list prints the names of the runs"
            raise ConfigError(f"--only: the study has no run {name!r}; {hint.strip()}")
    return [by_name[name] for name in names] if names else list(runs)


def setting_name(labels: Mapping[str, str]) -> str:
    """Returns labels as one name, "kind-plain_depth-8"; "base" where there are none.

    Args:
        labels: labels by factor.
    """
    return "_".join(f"{factor}-{label}" for factor, label in labels.items()) or "base"


def _plan(base: Mapping[str, Any], row: Row, seed: int) -> PlannedRun:
    name = f"{setting_name(row.labels)}_seed-{seed}"
    changes = {key: value for key, value in row.changes.items() if key != SEED}
    try:
        values = changed(base, {**changes, SEED: seed + row.changes.get(SEED, 0)})
        return PlannedRun(name, row.labels, seed, recipes.parse_config(values))
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"study.factors: the run {name}: {error}") from None


def changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested settings with some of them changed.

    Args:
        values: all settings of a configuration.
        changes: new values by dotted key; a key below a table, such as "model.overrides.shortcut",
            may be new.

    Raises:
        ConfigError: the configuration has no such key; the message gives the nearest.
    """
    made = _copy(values)
    known = recipes.known_keys()
    for key, value in changes.items():
        # Below these, names are the network's, the task's or the optimizer's own.
        inside = [name for name in known if key.startswith(f"{name}.")]
        if key not in known and not inside and not key.startswith("task."):
            raise ConfigError(f"config.{key} is unknown; {recipes.nearest_key(key)}")
        *sections, last = key.split(".")
        table = made
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value
    return made


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested tables as new ones, with the same values."""
    return {
        key: _copy(value) if isinstance(value, Mapping) else value for key, value in values.items()
    }
