"""Networks written with flax alone, each with what ties channels together."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

SHAPE = (8, 8, 3)


class Tied(linen.Module):
    """A residual sum, a concatenation, a depthwise and a grouped convolution, and a dense head."""

    dtype: Any = None

    @linen.compact
    def __call__(self, x, train: bool = False):
        def conv(features, size, name, **fields):
            return linen.Conv(features, (size, size), dtype=self.dtype, name=name, **fields)

        def norm(name):
            return linen.BatchNorm(use_running_average=not train, dtype=self.dtype, name=name)

        stem = linen.relu(norm("bn")(conv(8, 3, "stem")(x)))
        branch = conv(8, 3, "branch2")(linen.sigmoid(conv(6, 1, "branch1")(stem)))
        x = linen.max_pool(stem + branch, (2, 2), (2, 2))
        x = jnp.concatenate([conv(4, 1, "left")(x), conv(5, 1, "right")(x)], axis=-1)
        x = conv(12, 1, "before")(x)
        x = conv(12, 3, "grouped", feature_group_count=3)(x)
        x = linen.relu(conv(24, 3, "depthwise", feature_group_count=12)(x))
        x = x.reshape(x.shape[0], -1)
        x = linen.tanh(linen.Dense(10, dtype=self.dtype, name="hidden")(x))
        return linen.Dense(7, dtype=self.dtype, name="head")(x)


class Response(linen.Module):
    """A normalization over neighboring channels, and a code that takes the first channels."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(6, (3, 3), name="normed")(x)
        around = jax.lax.reduce_window(x * x, 0.0, jax.lax.add, (1, 1, 1, 3), (1,) * 4, "SAME")
        x = linen.Conv(6, (3, 3), name="cut")(x / (1 + around))
        x = linen.Conv(4, (3, 3), name="free")(x[..., :3])
        return linen.Dense(2, name="head")(linen.LayerNorm(name="ln")(linen.Dense(5, name="n")(x)))


class Deciding(linen.Module):
    """Adds a projection where the channels differ from a number that its code holds."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(6, (1, 1), name="first")(x)
        if x.shape[-1] != 6:
            x = linen.Conv(6, (1, 1), name="projection")(x)
        x = linen.Conv(5, (1, 1), name="second")(x)
        return linen.Dense(2, name="head")(x.mean(axis=(1, 2)))


def drawn(model, shape=SHAPE, dtype: Any = np.float32, **arguments):
    """Variables of odd values in place of zeros and ones."""
    images = jnp.zeros((1, *shape), dtype)
    shapes: Any = jax.eval_shape(lambda: model.init(jax.random.key(0), images, **arguments))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda s: jnp.asarray(rng.uniform(0.1, 1, s.shape) * 0.3, dtype), shapes)
