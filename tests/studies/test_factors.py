"""Grids and paired lists of changes."""

import pytest

from cnnjax import studies, training
from cnnjax.studies.factors import grid

RATE = studies.Factor("rate", {0.1: {"optimizer.learning_rate": 0.1}, 0.2: {}})
SIZE = studies.Factor("size", {"small": {"data.batch_size": 32}, "large": {}})


def labels(*factors):
    return [tuple(row.labels.values()) for row in grid(factors)]


def test_a_grid_has_every_combination_the_last_factor_fastest():
    assert labels(RATE, SIZE) == [
        ("0.1", "small"),
        ("0.1", "large"),
        ("0.2", "small"),
        ("0.2", "large"),
    ]
    first = next(iter(grid([RATE, SIZE])))
    assert first.changes == {"optimizer.learning_rate": 0.1, "data.batch_size": 32}


def test_paired_factors_are_walked_in_step():
    kind = studies.Factor("kind", [("plain", {}), ("plain", {}), ("resnet", {})])
    depth = studies.Factor("depth", [(8, {}), (20, {"epochs": 2}), (8, {"epochs": 3})])
    paired = studies.Paired([kind, depth])
    assert labels(paired) == [("plain", "8"), ("plain", "20"), ("resnet", "8")]
    assert labels(paired, SIZE)[1] == ("plain", "8", "large")


def test_no_factors_are_one_setting():
    assert labels() == [()]


@pytest.mark.parametrize(
    ("name", "levels", "message"),
    [
        ("a b", {"x": {}}, r"'a b' cannot be a factor's name; give letters"),
        ("seed", {"x": {}}, "'seed' is taken"),
        ("rate", {}, "rate: it has no levels"),
        ("rate", {"a/b": {}}, "rate: 'a/b' cannot be a label"),
        ("rate", {"../x": {}}, "cannot be a label"),
        ("rate", {"x": 0.1}, r"the level 'x' has 0\.1; give its changes"),
        ("rate", [("x", {}, 1)], "give a mapping of labels to changes"),
    ],
)
def test_what_cannot_name_a_folder_is_refused(name, levels, message):
    with pytest.raises(training.ConfigError, match=message):
        studies.Factor(name, levels)


def test_two_factors_must_not_change_one_key():
    other = studies.Factor("other", {"x": {"optimizer.learning_rate": 1.0}})
    with pytest.raises(training.ConfigError, match=r"optimizer.learning_rate is changed by rate"):
        list(grid([RATE, other]))


def test_paired_factors_have_equally_many_levels():
    longer = studies.Factor("longer", [("x", {})] * 3)
    with pytest.raises(training.ConfigError, match=r"'rate': 2, 'longer': 3"):
        studies.Paired([RATE, longer])
