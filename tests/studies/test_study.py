"""Studies that cannot be meant are refused by name, before anything runs."""

import pytest

from cnnjax import studies, training
from tests.studies.made_up import DEPTHS, KINDS, comparison, make_study


def rule(**values):
    return {"rule": studies.Rule("it holds", comparison(**values))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (0,)}, r"study.seeds: \[0\] was given; give two different whole numbers"),
        ({"seeds": (0, 0)}, "study.seeds"),
        ({"seeds": (0, True)}, "study.seeds"),
        ({"seeds": (0, -1)}, "study.seeds"),
        ({"factors": [KINDS, KINDS]}, "study.factors: the name 'kind' is used twice"),
        ({"factors": ["kind"]}, r"study.factors: 'kind' was given; give studies.Factor"),
        ({"outcomes": []}, "study.outcomes: there are none"),
        ({"outcomes": [studies.error]}, r"give studies.Outcome\(...\)"),
        ({"rule": comparison()}, r"give studies.Rule\(...\)"),
        ({"outcomes": [studies.Outcome("errors", studies.error)]}, "did you mean errors"),
        (rule(more={"kin": "plain"}), "more: factor 'kin' is unknown; did you mean kind"),
        (rule(less={"kind": "plan"}), "less: level of kind 'plan' is unknown; did you mean plain"),
        (rule(more={"depth": 21}), "level of depth '21' is unknown"),
        (rule(more={"kind": "plain"}, less={"depth": 8}), "choose the same runs"),
    ],
)
def test_a_bad_study_is_refused_by_name(changes, message):
    with pytest.raises(training.ConfigError, match=message):
        make_study(**changes)


@pytest.mark.parametrize("size", [-1.0, True, "1", float("nan"), float("inf")])
def test_an_effect_size_is_a_number_from_0(size):
    with pytest.raises(training.ConfigError, match="at_least of 'deep over shallow' is"):
        comparison(at_least=size)


@pytest.mark.parametrize("name", ["a b", "", "1st"])
def test_an_outcome_has_a_word_as_its_name(name):
    with pytest.raises(training.ConfigError, match="cannot be an outcome's name"):
        studies.Outcome(name, studies.error)


def test_an_outcome_measures():
    with pytest.raises(training.ConfigError, match=r"outcomes.loss: 'loss' measures nothing"):
        studies.Outcome("loss", "loss")  # pyright: ignore


def test_a_level_that_no_run_has_with_the_other_is_refused():
    paired = studies.Paired(
        [
            studies.Factor("kind", [("plain", {}), ("plain", {}), ("resnet", {})]),
            studies.Factor("depth", [(8, {}), (20, {}), (8, {})]),
        ]
    )
    values = rule(more={"kind": "resnet", "depth": 20})
    with pytest.raises(training.ConfigError, match="no run has"):
        make_study(factors=[paired], **values)
    assert make_study(factors=[paired, studies.Factor("extra", {"x": {}})])
    assert DEPTHS.names == ("depth",)
