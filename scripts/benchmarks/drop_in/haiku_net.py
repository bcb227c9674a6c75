"""Haiku's own ResNet-18, which convolves by `jax.lax.conv_general_dilated`."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import haiku as hk
import jax


def haiku_resnet18(images: jax.Array) -> tuple[Callable, Any, Any]:
    """Returns `logits_of(params, rest)`, which gives logits and the next rest, and both trees.

    Args:
        images: NHWC.
    """

    def forward(images):
        # Haiku starts the last layer at zero, so that the first step would have no gradients.
        head = {"w_init": hk.initializers.VarianceScaling(1.0)}
        net = hk.nets.ResNet18(10, resnet_v2=False, logits_config=head)
        return net(images, is_training=True)

    network = hk.transform_with_state(forward)
    params, rest = jax.jit(network.init)(jax.random.key(0), images)

    def logits_of(params, rest):
        return network.apply(params, rest, None, images)

    return logits_of, params, rest
