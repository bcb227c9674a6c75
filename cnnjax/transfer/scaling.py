"""Error against the size of the training set: a power law, its band, and its three regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from cnnjax.extras import installed_with

Values = Float[np.ndarray, " points"]
Kept = Float[np.ndarray, " kept"]

NEAR_GUESSING = 0.9
"""Points whose error is above this share of that of guessing are outside of the power law."""

_BETAS = (-0.2, -0.5, -1.0)
_GAMMAS = (0.0, 0.5, 0.9)
"""Starts of the search: exponents, and shares of the smallest error."""


@dataclass(frozen=True)
class PowerLaw:
    """The curve error = alpha * size ** beta + gamma, fitted to measured errors.

    Attributes:
        alpha: factor of the part that shrinks.
        beta: exponent, below 0.
        gamma: irreducible error; 0 where the fit is at this bound.
        guessing: the error of guessing.
        covariance: of alpha's logarithm, beta and gamma; zeros for a gamma at its bound.
        freedom: degrees of freedom of the residuals.
    """

    alpha: float
    beta: float
    gamma: float
    guessing: float
    covariance: Float[np.ndarray, "3 3"]
    freedom: int

    def error(self, sizes: Sequence[float] | Values) -> Values:
        """Returns the fitted errors.

        Args:
            sizes: numbers of training examples.
        """
        return self.alpha * np.asarray(sizes, np.float64) ** self.beta + self.gamma

    def band(self, sizes: Sequence[float] | Values, level: float = 0.95) -> tuple[Values, Values]:
        """Returns the lower and upper ends of the fit's confidence band at each size.

        It is of the curve, not of single runs: Student's interval of the error's logarithm, to the
        first order in the parameters.

        Args:
            sizes: numbers of training examples.
            level: probability that the interval holds the curve's value.
        """
        with installed_with("train"):
            from scipy import stats

        sizes = np.asarray(sizes, np.float64)
        error = self.error(sizes)
        shrinking = error - self.gamma
        slopes = np.stack([shrinking, shrinking * np.log(sizes), np.ones_like(sizes)], axis=1)
        slopes /= error[:, None]
        variance = np.einsum("ni,ij,nj->n", slopes, self.covariance, slopes)
        half = stats.t.ppf((1 + level) / 2, self.freedom) * np.sqrt(np.maximum(variance, 0))
        return error * np.exp(-half), error * np.exp(half)

    @property
    def regions(self) -> tuple[float, float]:
        """The sizes at which the region of the power law starts and ends.

        Below the first, the curve is above the error of guessing: too few data to learn from. Above
        the second, the irreducible error is more than what more data can still take away; it is
        infinite where the irreducible error is 0.

        Source: Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017, section
        5.
        """
        start = ((self.guessing - self.gamma) / self.alpha) ** (1 / self.beta)
        end = (self.gamma / self.alpha) ** (1 / self.beta) if self.gamma > 0 else np.inf
        return float(start), float(end)


def fit_power_law(
    sizes: Sequence[float] | Values, errors: Sequence[float] | Values, *, guessing: float
) -> PowerLaw:
    """Fits error = alpha * size ** beta + gamma by least squares of the errors' logarithms.

    Errors near that of guessing, where the curve bends, are left out.

    Args:
        sizes: numbers of training examples; one may come several times, once for each seed.
        errors: the measured error of each, above 0.
        guessing: the error of guessing, such as 0.9 for ten classes that are equally frequent.

    Raises:
        ValueError: sizes and errors do not fit, a value is out of range, or fewer than four points
            at three sizes are below the error of guessing.

    Source: Hestness et al., 2017, equation 1.

    Example:
        >>> sizes = [100, 200, 400, 800, 1600]
        >>> law = fit_power_law(sizes, [2 * m**-0.5 + 0.01 for m in sizes], guessing=0.9)
        >>> round(law.alpha, 2), round(law.beta, 2), round(law.gamma, 3)
        (2.0, -0.5, 0.01)
    """
    m, e = _points(sizes, errors, guessing)
    # Centered, so that factor and exponent do not move each other.
    middle = np.exp(np.log(m).mean())
    best = _search(np.log(m / middle), e, guessing)
    level, beta, gamma = best.x
    at_bound = gamma < 1e-6 * e.min()
    used = [0, 1] if at_bound else [0, 1, 2]
    freedom = len(m) - len(used)
    slopes = best.jac[:, used]
    inner = np.zeros((3, 3))
    inner[np.ix_(used, used)] = np.linalg.pinv(slopes.T @ slopes) * 2 * best.cost / freedom
    # From the level at the middle to alpha's logarithm.
    shift = np.array([[1.0, -np.log(middle), 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return PowerLaw(
        alpha=float(np.exp(level - beta * np.log(middle))),
        beta=float(beta),
        gamma=0.0 if at_bound else float(gamma),
        guessing=guessing,
        covariance=shift @ inner @ shift.T,
        freedom=freedom,
    )


def _search(scaled: Kept, errors: Kept, guessing: float) -> Any:
    """Returns SciPy's best fit of the level at the middle, the exponent and the lowest error."""
    with installed_with("train"):
        from scipy import optimize

    def residuals(parameters: np.ndarray) -> np.ndarray:
        return np.log(np.exp(parameters[0] + parameters[1] * scaled) + parameters[2]) - np.log(
            errors
        )

    bounds = ([-np.inf, -5.0, 0.0], [np.inf, -1e-6, guessing])
    level = np.log(np.median(errors))
    fits = [
        optimize.least_squares(
            residuals, [level, beta, share * errors.min()], bounds=bounds, x_scale="jac"
        )
        for beta in _BETAS
        for share in _GAMMAS
    ]
    return min(fits, key=lambda fit: fit.cost)


def _points(
    sizes: Sequence[float] | Values, errors: Sequence[float] | Values, guessing: float
) -> tuple[Kept, Kept]:
    """Returns the sizes and errors of the points that are fitted."""
    m, e = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
    if m.ndim != 1 or m.shape != e.shape:
        raise ValueError(
            f"sizes: shape {m.shape} was given with errors of shape {e.shape}; give one error for "
            "each size"
        )
    if not 0 < guessing <= 1:
        raise ValueError(f"guessing: {guessing} was given; give an error above 0 and up to 1")
    if not (np.isfinite(m).all() and np.isfinite(e).all() and (m > 0).all() and (e > 0).all()):
        raise ValueError(
            "errors: sizes and errors must be finite and above 0; an error of 0 has no place on a "
            "power law: evaluate more examples"
        )
    below = e < NEAR_GUESSING * guessing
    if below.sum() < 4 or len(np.unique(m[below])) < 3:
        raise ValueError(
            f"sizes: {below.sum()} points at {len(np.unique(m[below]))} sizes are below "
            f"{NEAR_GUESSING:g} of the error of guessing; a curve of three numbers needs four "
            "points at three sizes: train on more examples"
        )
    return m[below], e[below]
