"""The runs of a study, each with its name and its configuration or settings."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnjax import recipes
from cnnjax.nearest import did_you_mean
from cnnjax.studies.context import MakeRun
from cnnjax.studies.factors import SEED, Row, grid
from cnnjax.studies.sources import source_in, source_names, source_run_name
from cnnjax.studies.study import Study
from cnnjax.training.errors import ConfigError


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study.

    Attributes:
        name: of its folder, such as "kind-plain_depth-8_seed-0".
        labels: its label of each factor.
        seed: the study's seed that it belongs to.
        config: its checked configuration, a `recipes.RunConfig`; nested plain values where the
            study makes its own runs.
        make_run: the study's function that makes it; None where `config` is a configuration.
        sources: the runs of its seed that it may start from, by the sources' names.
        is_source: whether other runs start from it.
    """

    name: str
    labels: Mapping[str, str]
    seed: int
    config: Any
    make_run: MakeRun | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    is_source: bool = False

    @property
    def setting(self) -> str:
        """The name without the seed: the same for runs that are repeated."""
        return self.name.removesuffix(f"_seed-{self.seed}")


def plan_runs(study: Study) -> list[PlannedRun]:
    """Returns all runs of a study, seed after seed, so that early results cover all settings.

    The runs of its sources are not among them: see `plan_sources`.

    Args:
        study: the study.

    Raises:
        ConfigError: a change names an unknown key or has a wrong value, or two runs have one name;
            the message gives the run.
    """
    rows = list(grid(study.factors))
    base = _base(study)
    return _distinct([_plan(study, base, row, seed) for seed in study.seeds for row in rows])


def plan_sources(study: Study) -> list[PlannedRun]:
    """Returns the runs of a study's sources, seed after seed.

    Args:
        study: the study.

    Raises:
        ConfigError: a change names an unknown key or has a wrong value; the message gives the run.
    """
    base = _base(study)
    rows = [Row({}, dict(source.changes)) for source in study.sources]
    return [
        _plan(study, base, row, seed, source.name)
        for seed in study.seeds
        for source, row in zip(study.sources, rows, strict=True)
    ]


def plan_all(study: Study) -> list[PlannedRun]:
    """Returns the runs of a study, those of its sources too; of each seed, they come first.

    Args:
        study: the study.

    Raises:
        ConfigError: see `plan_runs`.
    """
    planned = [*plan_sources(study), *plan_runs(study)]
    # The sort keeps the order of the runs of a seed.
    return _distinct(sorted(planned, key=lambda run: list(study.seeds).index(run.seed)))


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


def _base(study: Study) -> dict[str, Any]:
    if study.make_run is None:
        return recipes.parse_config(study.base).model_dump()
    if not isinstance(study.base, Mapping):
        raise ConfigError(
            f"study.base: {type(study.base).__name__} was given; give a mapping, which make_run "
            "gets with the changes of a run"
        )
    return _copy(study.base)


def _distinct(runs: list[PlannedRun]) -> list[PlannedRun]:
    names = [run.name for run in runs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"study.factors: two runs are named {twice[0]}; change a label")
    return runs


def _plan(
    study: Study, base: Mapping[str, Any], row: Row, seed: int, source: str | None = None
) -> PlannedRun:
    """Returns a run of a study, or the run of one of its sources."""
    name = f"{setting_name(row.labels)}_seed-{seed}"
    sources: dict[str, str] = {}
    if source is None:
        sources = {each.name: source_run_name(each.name, seed) for each in study.sources}
    else:
        name = source_run_name(source, seed)
    changes = {key: value for key, value in row.changes.items() if key != SEED}
    try:
        seeds = {SEED: seed + row.changes.get(SEED, 0)}
        if study.make_run is None:
            config = recipes.parse_config(changed(base, {**changes, **seeds}))
            needed_source(config, sources)
        else:
            config = _settings(base, changes) | seeds
    except (ConfigError, TypeError) as error:
        where = "factors" if source is None else "sources"
        raise ConfigError(f"study.{where}: the run {name}: {error}") from None
    return PlannedRun(
        name, row.labels, seed, config, study.make_run, sources, is_source=source is not None
    )


def needed_source(config: recipes.RunConfig, sources: Mapping[str, str]) -> str | None:
    """Returns the name of the source that a configuration starts from; None where it has none.

    Args:
        config: the configuration.
        sources: the runs that it may start from, by the sources' names.

    Raises:
        ConfigError: there is no such source.
    """
    name = source_in(config.model.weights)
    if name is not None and name not in sources:
        hint = did_you_mean(name, sources, count=1).strip() or source_names(sources)
        raise ConfigError(f"model.weights: the source {name!r} is unknown; {hint}")
    return name


def _settings(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the plain values of a study that makes its own runs, with some of them changed."""
    made = _copy(base)
    for key, value in changes.items():
        *sections, last = key.split(".")
        table: Any = made
        for section in sections:
            table = table.get(section) if isinstance(table, dict) else None
        if not isinstance(table, dict) or last not in table:
            known = list(_dotted(base))
            hint = did_you_mean(key, known, count=1).strip() or f"there are {', '.join(known)}"
            raise ConfigError(f"{key} is no key of study.base; {hint}")
        table[last] = value
    try:
        return json.loads(json.dumps(made, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the settings are no plain values ({error}); give text, numbers, lists and tables, "
            "and make objects in make_run"
        ) from None


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yields the dotted keys of nested tables, those of the tables too."""
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")


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
