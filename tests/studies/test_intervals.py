"""Paired intervals against tables, Holm's correction against a worked example, and noise."""

import math

import numpy as np
import pytest

from cnnjax import studies
from cnnjax.studies.intervals import mean_and_half


def test_the_interval_is_students():
    """By a printed table, t(0.975; 2 degrees of freedom) is 4.3027."""
    decided = studies.decide([1.0, 2.0, 3.0])
    half = 4.3027 / math.sqrt(3)
    assert decided.mean == 2
    assert (decided.low, decided.high) == pytest.approx((2 - half, 2 + half), abs=1e-4)
    assert (decided.effect, decided.pairs, decided.level) == (2, 3, 0.05)
    assert mean_and_half([1.0, 2.0, 3.0]) == pytest.approx((2, half), abs=1e-4)


@pytest.mark.parametrize(
    ("differences", "at_least", "decision"),
    [
        ([2.0, 2.1, 1.9], 1.0, "supported"),
        ([0.2, 0.1, 0.3], 1.0, "not supported"),
        ([-2.0, -2.1, -1.9], 0.0, "not supported"),
        ([0.5, 1.5, 1.0], 1.0, "undecided"),
        # Significant, but it may be smaller than what counts.
        ([1.0, 1.1, 1.2], 1.0, "undecided"),
        # Equal: counts are equal by chance, and show no spread.
        ([0.1, 0.1, 0.1], 0.0, "undecided"),
        ([0.0, 0.0, 0.0], 0.0, "undecided"),
        ([0.0, 0.0, 0.0], 0.01, "not supported"),
    ],
)
def test_the_whole_interval_decides(differences, at_least, decision):
    assert studies.decide(differences, at_least).decision == decision


@pytest.mark.parametrize("differences", [[], [1.0], [1.0, math.nan], [math.inf, 1.0]])
def test_one_difference_decides_nothing(differences):
    with pytest.raises(ValueError, match="give two finite numbers or more"):
        studies.decide(differences)


def with_p(p):
    """Returns two differences whose p-value is p: with one degree of freedom, t is Cauchy's."""
    t = math.tan(math.pi * (1 - p) / 2)
    return [t + 1, t - 1], 0.0


def test_p_is_cauchys_with_one_degree_of_freedom():
    assert studies.decide(*with_p(0.03)).p == pytest.approx(0.03)


def test_holm_stops_at_the_first_that_is_too_large():
    """Of 0.01, 0.04, 0.03 and 0.005: 0.005 <= 0.05/4, 0.01 <= 0.05/3, but 0.03 > 0.05/2."""
    decided = studies.decide_together([with_p(p) for p in (0.01, 0.04, 0.03, 0.005)])
    assert [d.decision for d in decided] == ["supported", "undecided", "undecided", "supported"]
    assert [d.level for d in decided] == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4])
    assert studies.decide_together([]) == []


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("kind", ["normal", "counts"])
def test_noise_alone_is_rarely_claimed(seeds, kind):
    """In 1,000 studies without any effect, either way, alone and among four comparisons."""
    draw = np.random.default_rng(seeds)
    alone = together = 0
    for _ in range(1000):
        shape = (2, 4, seeds)
        # Errors of 3 % among 360 images are whole numbers, often equal.
        errors = draw.normal(size=shape) if kind == "normal" else draw.binomial(360, 0.03, shape)
        differences = (errors[0] - errors[1]).tolist()
        alone += studies.decide(differences[0]).decision != "undecided"
        pairs = [(row, 0.0) for row in differences]
        together += any(d.decision != "undecided" for d in studies.decide_together(pairs))
    assert alone <= 65
    assert together <= 65


def test_a_true_effect_is_found():
    draw = np.random.default_rng(0)
    found = [studies.decide(draw.normal(5, 1, 5).tolist(), 1.0).decision for _ in range(200)]
    assert found.count("supported") > 190
