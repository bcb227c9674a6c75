"""Shapes of networks' variables, and variables drawn without compiling an initialization."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import models
from cnnjax.models.dense.center_net import CenterNet
from cnnjax.models.dense.localizer import Localizer


@functools.cache
def variables_of(model, input_size):
    """The variables' shapes of a network initialized on images of a size."""
    images = jax.ShapeDtypeStruct((1, *input_size), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


SECONDS = {f"densenet{depth}" for depth in (161, 169, 201)}
"""Networks whose shapes alone take seconds to find."""

DEEPER = {
    *SECONDS,
    *("densenet100_12_cifar", "densenet_bc100_12_cifar"),
    *(f"mobilenet_v2_{percent}" for percent in ("035", "050", "140")),
    *("fractalnet34", "plain34", "resnet34", "resnet101", "resnet152", "wide_resnet101_2"),
    *(f"{kind}{depth}_cifar" for kind in ("plain", "resnet") for depth in (32, 44, 56, 110, 1202)),
    *(f"preact_resnet{depth}" for depth in (101, 152, 200)),
    *(f"preact_resnet{depth}_cifar" for depth in (110, 164, 1001)),
    *(f"vgg{depth}{norm}" for depth in (13, 16, 19) for norm in ("", "_bn")),
    *("fcn32s", "fcn16s", "fcn_resnet50", "segnet"),
    *("wrn16_8", "wrn22_8", "wrn28_10", "wrn40_1", "wrn40_2", "wrn40_4"),
}
"""Networks that repeat the blocks of a shallower one, widen them, or enlarge their maps."""


@functools.cache
def registered(name, variant=None, **settings):
    """A registered network, its figures and its variables' shapes."""
    model = models.create_model(name, variant=variant, **settings)
    info = models.model_info(name, variant)
    return model, info, variables_of(model, info.input_size)


def scans(name):
    """Whether it is a deeper network that can be traced as one block of each stage."""
    return name in DEEPER and hasattr(models.create_model(name), "scan")


def counted(name, variant=None, **settings):
    """The same, but deeper networks are traced as one block of each stage where they can be.

    That form has as many parameters and multiply-adds, in arrays with a further axis.
    """
    if scans(name):
        settings["scan"] = True
    return registered(name, variant, **settings)


def logits_shape(model, input_size, batch=2):
    """Logits for each image; of networks for dense prediction, for each pixel; with boxes' 4."""
    if isinstance(model, Localizer):
        return (batch, model.num_classes + 4)
    if isinstance(model, CenterNet):
        cells = (side // model.stride for side in input_size[:2])
        return (batch, *cells, model.num_classes + 4)
    pixels = input_size[:2] if isinstance(model, models.PixelNet) else ()
    return (batch, *pixels, model.num_classes)


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
