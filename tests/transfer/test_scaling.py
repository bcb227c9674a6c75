"""Power laws: made-up curves with known numbers come back, and bands hold the truth."""

import numpy as np
import pytest

from cnnjax.transfer.scaling import fit_power_law

SIZES = np.array([50, 100, 200, 400, 800, 1600, 3200, 6400.0])


def curve(sizes, alpha, beta, gamma):
    return alpha * sizes**beta + gamma


@pytest.mark.parametrize(
    "truth", [(2.0, -0.5, 0.01), (1.2, -0.3, 0.0), (20.0, -1.1, 0.05), (3.0, -0.45, 0.2)]
)
def test_exact_curves_come_back(truth):
    fit = fit_power_law(SIZES, curve(SIZES, *truth), guessing=0.9)
    np.testing.assert_allclose((fit.alpha, fit.beta), truth[:2], rtol=1e-2)
    np.testing.assert_allclose(fit.gamma, truth[2], rtol=1e-2, atol=1e-3)
    larger = np.array([12_800, 51_200.0])
    np.testing.assert_allclose(fit.error(larger), curve(larger, *truth), rtol=2e-2)


def test_the_points_of_guessing_are_left_out():
    """The curve bends there: errors cannot be above that of guessing."""
    truth = (6.0, -0.5, 0.02)
    errors = np.minimum(curve(SIZES, *truth), 0.88)
    fit = fit_power_law(SIZES, errors, guessing=0.9)
    np.testing.assert_allclose((fit.alpha, fit.beta, fit.gamma), truth, rtol=1e-2)


def test_the_regions_end_where_their_definitions_are_equal():
    fit = fit_power_law(SIZES, curve(SIZES, 2.0, -0.5, 0.05), guessing=0.9)
    start, end = fit.regions
    # 2 / sqrt(m) = 0.85 and 2 / sqrt(m) = 0.05.
    np.testing.assert_allclose([start, end], [(2 / 0.85) ** 2, 1600], rtol=1e-2)
    assert fit_power_law(SIZES, curve(SIZES, 2.0, -0.5, 0.0), guessing=0.9).regions[1] > 1e9


@pytest.mark.slow
def test_bands_hold_the_curve_as_often_as_they_state():
    """95 % of 150 noisy copies, within and beyond the sizes of the fit."""
    truth, rng = (2.0, -0.5, 0.03), np.random.default_rng(0)
    sizes = np.repeat(SIZES, 5)
    exact, places = curve(sizes, *truth), np.array([100.0, 800.0, 12_800.0])
    held = np.zeros(3)
    for _ in range(150):
        fit = fit_power_law(sizes, exact * np.exp(rng.normal(0, 0.1, len(sizes))), guessing=0.9)
        low, high = fit.band(places)
        held += (low <= curve(places, *truth)) & (curve(places, *truth) <= high)
    # Binomial: 95 % of 150, give or take three standard deviations.
    assert (held >= 0.95 * 150 - 3 * np.sqrt(150 * 0.95 * 0.05)).all(), held
    assert held[:2].max() < 150


def test_a_wider_level_gives_a_wider_band():
    rng = np.random.default_rng(1)
    errors = curve(SIZES, 2.0, -0.5, 0.03) * np.exp(rng.normal(0, 0.1, len(SIZES)))
    fit = fit_power_law(SIZES, errors, guessing=0.9)
    (low, high), (lower, higher) = fit.band([400.0]), fit.band([400.0], level=0.99)
    assert lower < low < fit.error([400.0]) < high < higher


@pytest.mark.parametrize(
    ("sizes", "errors", "guessing", "message"),
    [
        (SIZES, SIZES[:3], 0.9, r"sizes: shape \(8,\) was given with errors of shape \(3,\)"),
        (SIZES, 0 * SIZES, 0.9, "an error of 0 has no place on a power law"),
        (SIZES, np.full(8, np.nan), 0.9, "must be finite and above 0"),
        (-SIZES, np.full(8, 0.1), 0.9, "must be finite and above 0"),
        (SIZES, np.full(8, 0.1), 0.0, "guessing: 0.0 was given; give an error above 0"),
        (SIZES, np.full(8, 0.89), 0.9, "0 points at 0 sizes are below 0.9 of the error of"),
        ([10, 10, 20, 20], [0.1, 0.2, 0.1, 0.1], 0.9, "4 points at 2 sizes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes, errors, guessing, message):
    with pytest.raises(ValueError, match=message):
        fit_power_law(sizes, errors, guessing=guessing)
