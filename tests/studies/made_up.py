"""Studies whose outcomes are made up: nothing is trained."""

from typing import Any

from cnnjax import studies

KINDS = studies.Factor("kind", {"plain": {}, "resnet": {"model.name": "resnet14_cifar"}})
DEPTHS = studies.Factor("depth", {8: {}, 20: {"epochs": 2}})


def comparison(statement="deep over shallow", more=None, less=None, **values) -> Any:
    more = more or {"kind": "plain", "depth": 20}
    less = less or {"kind": "plain", "depth": 8}
    return studies.Comparison(statement, "error", more, less, **values)


def make_study(**changes) -> studies.Study:
    """Returns a study of two kinds, two depths and three seeds, with some fields changed."""
    fields: dict[str, Any] = {
        "question": "Does depth harm?",
        "base": {},
        "factors": [KINDS, DEPTHS],
        "seeds": (0, 1, 2),
        "outcomes": [studies.Outcome("error", studies.error, "%")],
        "rule": studies.Rule("depth harms", comparison()),
    }
    return studies.Study(**{**fields, **changes})


def outcomes_of(study, value):
    """Returns the errors of all runs, `value(run)` each."""
    return {run.name: {"error": value(run)} for run in studies.plan_runs(study)}
