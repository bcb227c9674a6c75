"""The results of a search as a page in Markdown, and its files."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnnjax.studies.cost import format_cost
from cnnjax.studies.intervals import mean_and_half
from cnnjax.studies.search.costs import TrialCosts
from cnnjax.studies.search.results import SearchResults
from cnnjax.studies.search.search import Search
from cnnjax.studies.search.space import described
from cnnjax.studies.search.trials import Trial, plan_trial
from cnnjax.training.errors import ConfigError
from cnnjax.training.folder.write_errors import write_error
from cnnjax.writing import write_json, write_text

SHOWN = 20
"""The page has at most this many trials, the best first; the table of values has all."""


def search_page(results: SearchResults) -> str:
    """Returns what a search has found as Markdown.

    Args:
        results: what it has found.
    """
    parts = [
        f"# {results.search.question}",
        *_chosen(results),
        "\n".join(_tests(results)),
        "\n".join(_trials(results)),
        "\n".join(_space(results)),
        *_failures(results),
        _facts(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _chosen(results: SearchResults) -> Iterator[str]:
    choice, name = results.choice, results.score.metric
    if choice is None:
        yield "Nothing is chosen yet."
        return
    settings = ", ".join(f"{key} = {_number(value)}" for key, value in choice.changes.items())
    yield f"**Chosen: {settings}** (trial {choice.trial} of {choice.trials})."
    on = {
        "train": "on the training examples, without those held out",
        "train+validation": "on the training examples and those that were held out",
    }[results.search.retrain_on]
    yield (
        f"Its {name} on the validation examples is {_number(choice.value)}. That is the best of "
        f"{choice.trials}, and so flatters it. It was trained again {on}, and each of these runs "
        "was scored once on the test split:"
    )


def _tests(results: SearchResults) -> Iterator[str]:
    if results.choice is None:
        return
    names = list(dict.fromkeys(key for found in results.tested.values() for key in found))
    yield f"| run | {' | '.join(names)} |"
    yield f"|---|{'--:|' * len(names)}"
    for name in results.retrained:
        found = results.tested.get(name)
        if found is None:
            yield f"| {name} |{' |' * len(names)}"
        else:
            yield f"| {name} | {' | '.join(_number(found[key]) for key in names)} |"
    if len(results.tested) > 1:
        cells = []
        for key in names:
            mean, half = mean_and_half([found[key] for found in results.tested.values()])
            cells.append(f"{_number(mean)} ± {half:.2g}")
        yield f"| mean, with its interval of 95 % | {' | '.join(cells)} |"


def _trials(results: SearchResults) -> Iterator[str]:
    keys = list(results.search.space)
    yield f"| trial | {' | '.join(keys)} | {results.score.metric} | epochs | state |"
    yield f"|--:|{'--:|' * len(keys)}--:|--:|---|"
    sign = -1 if results.score.higher_is_better else 1
    ranked = sorted(results.trials, key=lambda t: (t.value is None, sign * (t.value or 0.0)))
    for trial in ranked[:SHOWN]:
        values = [_number(trial.changes[key]) for key in keys]
        value, epochs = _last(trial)
        state = trial.state or ("failed" if trial.name in results.failures else "not finished")
        yield f"| {trial.number} | {' | '.join(values)} | {value} | {epochs} | {state} |"
    if len(ranked) > SHOWN:
        yield f"\nAll {len(ranked)} trials are in results.csv."


def _last(trial: Trial) -> tuple[str, str]:
    """Returns the last value of a trial's metric, and after how many epochs it was measured."""
    if not trial.course:
        return "", ""
    epoch = max(trial.course)
    return _number(trial.course[epoch]), str(epoch)


def _space(results: SearchResults) -> Iterator[str]:
    yield "Settings were drawn from:"
    yield ""
    for key, distribution in results.search.space.items():
        yield f"- {key}: {described(distribution)}"


def _failures(results: SearchResults) -> Iterator[str]:
    diverged = {t.name: t.reason for t in results.trials if t.state == "diverged"}
    for heading, reasons in (("Failed", results.failures), ("Diverged", diverged)):
        if reasons:
            lines = [f"- {name}: {why}" for name, why in reasons.items()]
            yield "\n".join([f"{heading} runs, which are left out of the choice:", "", *lines])
    if results.left:
        yield f"Not finished: {', '.join(results.left[:5])}."


def _facts(results: SearchResults) -> str:
    states = [trial.state for trial in results.trials]
    counts = ", ".join(
        f"{states.count(state)} {state}"
        for state in ("finished", "pruned", "diverged")
        if state in states
    )
    scale = results.search.source and results.search.source.scale
    saved = ""
    if results.planned > results.spent:
        saved = f", of {results.planned:.3g} if all had been trained in full"
    return (
        f"{len(states)} trials: {counts or 'none has ended'}; "
        f"{f'scale {scale}, ' if scale else ''}seed {results.search.seed}; "
        f"{results.spent:.3g} multiply-adds x images{saved}."
    )


def write_search(results: SearchResults, workdir: Path) -> Path:
    """Writes `results.md`, `results.csv` and `results.json`; returns the path of the first.

    Args:
        results: what was found.
        workdir: the search's folder.

    Raises:
        RunFolderError: the folder cannot be written.
    """
    page = workdir / "results.md"
    try:
        write_text(workdir / "results.csv", _csv(results))
        write_json(workdir / "results.json", _json(results))
        write_text(page, search_page(results) + "\n")
    except OSError as error:
        raise write_error(workdir, error) from error
    return page


def _csv(results: SearchResults) -> str:
    """Returns a line for each trial."""
    text = io.StringIO()
    keys = list(results.search.space)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *keys, results.score.metric, "epochs", "state"])
    for trial in results.trials:
        epoch = max(trial.course, default=None)
        value = "" if epoch is None else trial.course[epoch]
        changes = [trial.changes[key] for key in keys]
        writer.writerow([trial.name, *changes, value, epoch or 0, trial.state or ""])
    return text.getvalue()


def _json(results: SearchResults) -> dict[str, Any]:
    choice = results.choice
    return {
        "question": results.search.question,
        "metric": results.score.metric,
        "higher_is_better": results.score.higher_is_better,
        "choice": None if choice is None else vars(choice),
        "tested": dict(results.tested),
        "retrain_on": results.search.retrain_on,
        "trials": [
            {
                "run": trial.name,
                "changes": dict(trial.changes),
                "state": trial.state,
                "value": trial.value,
                "course": {str(epoch): value for epoch, value in trial.course.items()},
                "reason": trial.reason,
            }
            for trial in results.trials
        ],
        "failures": dict(results.failures),
        "spent": results.spent,
    }


def format_search(search: Search, costs: TrialCosts) -> str:
    """Returns the settings that would be tried, and what they cost if all are trained in full.

    Args:
        search: the search.
        costs: counts what trials cost.
    """
    base = costs.of_base(search)
    runs, found, settings, spent = [], {}, [], 0.0
    while search.trials is None or len(runs) < search.trials:
        run = plan_trial(search, len(runs))
        cost = costs.of_trial(run, base)
        if search.budget is not None and spent + cost.total > search.budget:
            break
        spent += cost.total
        runs.append(run)
        found[run.name] = cost
        settings.append(f"{run.name}  {_settings(search, run.config.model_dump())}")
    if not runs:
        raise ConfigError(f"search.budget: {search.budget:.3g} holds no trial; give more")
    again = f"then the best, trained again with {len(search.seeds)} seeds"
    return "\n".join([*settings, "", format_cost(runs, found), again])


def _settings(search: Search, values: dict[str, Any]) -> str:
    texts = []
    for key in search.space:
        value: Any = values
        for part in key.split("."):
            value = value[part]
        texts.append(f"{key}={_number(value)}")
    return " ".join(texts)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
