"""The choice of the best setting: made once, and kept, since the test split is scored for it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnjax import recipes
from cnnjax.studies.claims import Claims
from cnnjax.studies.plan import PlannedRun, changed
from cnnjax.studies.search.search import Search
from cnnjax.studies.search.space import decoded, draw
from cnnjax.studies.search.trials import Trial
from cnnjax.tasks.values import Score
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.json_files import (
    COUNT,
    NUMBER,
    OBJECT,
    DamagedFile,
    Table,
    read_json,
)
from cnnjax.training.folder.write_errors import write_error
from cnnjax.writing import write_json

CHOICE_FILE = "choice.json"
"""The setting that was chosen."""

_TABLE: Table = {"trial": COUNT, "value": NUMBER, "changes": OBJECT, "trials": COUNT}


@dataclass(frozen=True)
class Choice:
    """The best setting on the validation examples.

    Attributes:
        trial: its number.
        value: its metric on the validation examples.
        changes: the setting, by key.
        trials: of how many trials it is the best.
    """

    trial: int
    value: float
    changes: Mapping[str, Any]
    trials: int


def best_of(trials: Sequence[Trial], score: Score) -> Trial | None:
    """Returns the best of the trials that were trained in full, of equal ones the first.

    Args:
        trials: all trials.
        score: the metric and its direction.
    """
    sign = 1 if score.higher_is_better else -1
    best, best_value = None, 0.0
    for trial in trials:
        if trial.value is not None and (best is None or sign * trial.value > best_value):
            best, best_value = trial, sign * trial.value
    return best


def read_choice(workdir: Path) -> Choice | None:
    """Returns the choice that was made; None if there is none yet.

    Args:
        workdir: the search's folder.

    Raises:
        RunFolderError: its file is damaged.
    """
    try:
        values = read_json(workdir / CHOICE_FILE, _TABLE)
    except FileNotFoundError:
        return None
    except DamagedFile as damaged:
        raise RunFolderError(
            f"workdir: {damaged}; remove it, and the same choice is made again"
        ) from None
    return Choice(**{name: values[name] for name in _TABLE})


def check_choice(search: Search, workdir: Path, count: int) -> None:
    """Refuses to add trials after the choice: their scores could not be compared honestly.

    Args:
        search: the search.
        workdir: its folder.
        count: how many trials there are.

    Raises:
        RunFolderError: the search would go on after its choice.
    """
    choice = read_choice(workdir)
    if choice is not None and search.budget is None and (search.trials or 0) > count:
        raise RunFolderError(
            f"workdir: {workdir} has chosen trial {choice.trial} of {choice.trials} already, and "
            f"the test split may have been scored; for {search.trials} trials, give another "
            "--workdir"
        )


def make_choice(
    trials: Sequence[Trial], score: Score, workdir: Path, claims: Claims, poll_seconds: float
) -> Choice | None:
    """Returns the choice, made by the first process that comes here; None without finished trials.

    Args:
        trials: all trials, none of which goes on.
        score: the metric and its direction.
        workdir: the search's folder.
        claims: of the processes.
        poll_seconds: time between two looks at another process's claim.

    Raises:
        RunFolderError: it cannot be written.
    """
    best = best_of(trials, score)
    if best is None or best.value is None:
        return read_choice(workdir)
    while True:
        if (made := read_choice(workdir)) is not None:
            return made
        claim = claims.acquire("choice")
        if claim is None:
            time.sleep(poll_seconds)
            continue
        try:
            if read_choice(workdir) is None:
                _write(Choice(best.number, best.value, best.changes, len(trials)), workdir)
        finally:
            claim.release()


def _write(choice: Choice, workdir: Path) -> None:
    chosen = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    try:
        write_json(workdir / CHOICE_FILE, {**asdict(choice), "chosen": chosen})
    except OSError as error:
        raise write_error(workdir, error) from error


def plan_retraining(search: Search, choice: Choice) -> list[PlannedRun]:
    """Returns the runs that train the chosen setting again, one for each seed.

    Args:
        search: the search.
        choice: the choice.
    """
    base = search.config
    # Drawn again: the file of the choice has lists in the place of tuples.
    changes = decoded(search.space, draw(search.space, search.seed, choice.trial))
    if search.retrain_on == "train+validation":
        held_out = base.data.validation_examples
        changes["data.validation_examples"] = 0
        kept = changes.get("data.train_examples", base.data.train_examples)
        if kept is not None:
            changes["data.train_examples"] = kept + held_out
    values = changed(base.model_dump(), changes)
    return [
        PlannedRun(
            f"retrained_seed-{seed}",
            {},
            seed,
            recipes.parse_config(changed(values, {"seed": seed})),
        )
        for seed in search.seeds
    ]
