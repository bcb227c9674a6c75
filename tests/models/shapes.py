"""Shapes of networks' variables, and variables drawn without compiling an initialization."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import models


@functools.cache
def variables_of(model, input_size):
    """The variables' shapes of a network initialized on images of a size."""
    images = jax.ShapeDtypeStruct((1, *input_size), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


@functools.cache
def registered(name, variant=None):
    """A registered network, its figures and its variables' shapes."""
    model, info = models.create_model(name, variant=variant), models.model_info(name, variant)
    return model, info, variables_of(model, info.input_size)


def size(tree):
    """Number of values in a tree of shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def drawn(variables, seed=0):
    """Variables of the given shapes: He-normal kernels, random scales, small biases.

    An initialization under jit takes ten times as long to compile as what is tested here.
    """
    generator = np.random.default_rng(seed)

    def draw(path, leaf):
        kind = path[-1].key
        if kind == "kernel":
            deviation = math.sqrt(2 / max(math.prod(leaf.shape[:-1]), 1))
        else:
            deviation = {"scale": 0.5, "mean": 0.1}.get(kind, 0.1)
        values = deviation * generator.standard_normal(leaf.shape)
        offset = 1.0 if kind in ("scale", "var") else 0.0
        return jnp.asarray(
            np.abs(values) + offset if kind == "var" else values + offset, leaf.dtype
        )

    return jax.tree_util.tree_map_with_path(draw, variables)
