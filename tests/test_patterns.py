import pytest

from cnnjax import patterns

TREE = {"c1": {"kernel": 0, "bias": 0}, "head": {"kernel": 0}}


def test_the_first_matching_rule_gives_the_value():
    rules = [("c1/.*", "frozen"), (".*/kernel", "fast"), (".*", "slow")]
    assert patterns.match(rules, TREE) == {
        "c1": {"kernel": "frozen", "bias": "frozen"},
        "head": {"kernel": "fast"},
    }


def test_a_pattern_matches_the_whole_path():
    assert patterns.match([("kernel", 1), (".*", 2)], TREE)["head"]["kernel"] == 2


def test_every_path_must_match_and_all_that_do_not_are_named():
    with pytest.raises(ValueError, match=r"c1/bias, head/kernel match none.*'\.\*'"):
        patterns.match([("c1/kernel", 1)], TREE)


def test_a_broken_pattern_is_named():
    with pytest.raises(ValueError, match=r"'c1\(' is not a regular expression"):
        patterns.match([("c1(", 1)], TREE)


def test_path_names_are_in_leaf_order():
    assert patterns.path_names(TREE) == ["c1/bias", "c1/kernel", "head/kernel"]


def test_patterns_that_give_no_leaf_its_value_are_found():
    tree = {"c1": {"kernel": 0, "bias": 1}}
    rules = [("c1/.*", 1), ("c1/kernel", 2), ("c2/.*", 3), (".*", 4)]
    assert patterns.unused(rules, tree) == ["c1/kernel", "c2/.*"]
