"""Initializers of kernels, by scheme: the flag `initialization` of every network."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Initializers:
    """The initializers of a scheme.

    Attributes:
        conv: of convolution kernels.
        dense: of dense kernels.
        classifier: of the layer that gives the logits.
    """

    conv: Any
    dense: Any
    classifier: Any


def fan_in_uniform(scale: float) -> Callable[..., jax.Array]:
    """Returns an initializer uniform in ±scale / F, where F is a unit's number of inputs.

    Args:
        scale: the bound for a unit of one input.

    Source: LeCun et al., 1998, appendix A, with a scale of 2.4.
    """

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        fan_in = 1
        for size in shape[:-1]:
            fan_in *= size
        return jax.random.uniform(key, shape, dtype, -scale / fan_in, scale / fan_in)

    return init


def same(init: Any) -> Initializers:
    """Returns a scheme with one initializer for every kernel.

    Args:
        init: the initializer.
    """
    return Initializers(init, init, init)


def normal(stddev: float) -> Initializers:
    """Returns a scheme with N(0, stddev) for every kernel.

    Args:
        stddev: the standard deviation.
    """
    return same(linen.initializers.normal(stddev))


HE_NORMAL = linen.initializers.variance_scaling(2.0, "fan_in", "normal")
GLOROT_UNIFORM = linen.initializers.glorot_uniform()
# Twice Glorot's variance, as He's is twice LeCun's: a rectifier halves the second moment.
GLOROT_RECTIFIED = linen.initializers.variance_scaling(2.0, "fan_avg", "uniform")
# Unit gain: no rectifier follows the logits.
LECUN_NORMAL = linen.initializers.lecun_normal()

SCHEMES = {
    # He et al., 2015 ("Delving deep into rectifiers"), section 2.2.
    "he": Initializers(HE_NORMAL, HE_NORMAL, LECUN_NORMAL),
    # Glorot and Bengio, 2010, equation 16: a variance of 2 / (fan-in + fan-out).
    "xavier": same(GLOROT_UNIFORM),
    # The same with a gain of 2 where a rectifier follows: 4 / (fan-in + fan-out).
    "xavier_rectified": Initializers(GLOROT_RECTIFIED, GLOROT_RECTIFIED, GLOROT_UNIFORM),
    # LeCun et al., 1998 ("Efficient backprop"), section 4.6: a variance of 1 / fan-in.
    "lecun": same(LECUN_NORMAL),
}
