"""The losses of segmentation, from a class's logit and a label for each pixel.

A label without a class, such as 255, does not count: its pixel's loss is 0.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from cnnjax.ops.accumulation import sum_dtype

Logits = Float[Array, "batch height width classes"]
Masks = Integer[Array, "batch height width"]
PixelLosses = Float[Array, "batch height width"]

_SMOOTH = 1.0


def one_hot_pixels(masks: Masks, classes: int) -> Bool[Array, "batch height width classes"]:
    """Returns whether each pixel is of each class; of none where its label has no class.

    Args:
        masks: a label for each pixel.
        classes: number of classes.
    """
    # In int32, since 255 of uint8 must not become a class of a narrower comparison.
    return masks.astype(jnp.int32)[..., None] == jnp.arange(classes).reshape(1, 1, 1, -1)


def pixel_cross_entropy(logits: Logits, masks: Masks) -> PixelLosses:
    """Returns minus the log-probability of each pixel's class, in nats.

    Args:
        logits: unnormalized log-probabilities.
        masks: the true label of each pixel.
    """
    return -_own_log_probability(logits, masks)


def pixel_focal(logits: Logits, masks: Masks, gamma: float = 2.0) -> PixelLosses:
    """Returns cross-entropies of which those of certain pixels weigh little: (1 - p)^gamma.

    Args:
        logits: unnormalized log-probabilities.
        masks: the true label of each pixel.
        gamma: the exponent; 0 gives the cross-entropy.

    Source: Lin et al. 2017, equation 4.
    """
    log_p = _own_log_probability(logits, masks)
    # -expm1(x) is 1 - exp(x) without cancellation near 0. At p = 1 the power 0 < gamma < 1 has no
    # finite derivative, which the smallest number avoids.
    rest = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(log_p.dtype).tiny)
    return -(rest**gamma) * log_p


def image_dice(
    logits: Logits,
    masks: Masks,
    counted: Bool[Array, "batch height width"],
    class_weights: Sequence[float] = (),
) -> Float[Array, " batch"]:
    """Returns 1 minus the soft Dice coefficient of each image: a mean over the classes it has.

    With probabilities p and truth t of a class: (2 sum(p t) + 1) / (sum(p) + sum(t) + 1), over the
    counted pixels. Classes that an image does not have are left out of its mean: they would reward
    a network for predicting no class at all.

    Args:
        logits: unnormalized log-probabilities.
        masks: the true label of each pixel.
        counted: which pixels count.
        class_weights: the weight of each class in the mean; empty for equal ones.

    Source: Milletari et al. 2016, section 3, here without squares in the denominator, as in Sudre
    et al. 2017.
    """
    wide = _wide(logits)
    inside = counted[..., None].astype(wide.dtype)
    probabilities = jax.nn.softmax(wide) * inside
    truth = one_hot_pixels(masks, logits.shape[-1]).astype(wide.dtype) * inside
    both, sizes = (probabilities * truth).sum(axis=(1, 2)), truth.sum(axis=(1, 2))
    dice = (2 * both + _SMOOTH) / (probabilities.sum(axis=(1, 2)) + sizes + _SMOOTH)
    weights = jnp.asarray(np.asarray(class_weights or [1.0] * logits.shape[-1]), wide.dtype)
    shares = jnp.where(sizes > 0, weights.reshape(1, -1), 0)
    total = shares.sum(axis=1)
    # An image without a pixel that counts has no loss.
    return (shares * (1 - dice)).sum(axis=1) / jnp.where(total > 0, total, 1)


def pixel_weights(
    masks: Masks, counted: Bool[Array, "batch height width"], class_weights: Sequence[float]
) -> Float[Array, "batch height width"]:
    """Returns the weight of each pixel's class, float32; 0 for a pixel that does not count.

    Args:
        masks: the true label of each pixel.
        counted: which pixels count.
        class_weights: the weight of each class; empty for 1.
    """
    if not class_weights:
        return counted.astype(jnp.float32)
    weights = jnp.asarray(np.asarray(class_weights, np.float32)).reshape(1, 1, 1, -1)
    own = jnp.where(one_hot_pixels(masks, len(class_weights)), weights, 0).sum(axis=-1)
    return jnp.where(counted, own, 0)


def _own_log_probability(logits: Logits, masks: Masks) -> PixelLosses:
    log_probabilities = jax.nn.log_softmax(_wide(logits))
    # A choice and a sum rather than a lookup, whose gradient would be a scatter.
    own = one_hot_pixels(masks, logits.shape[-1])
    return jnp.where(own, log_probabilities, 0).sum(axis=-1)


def _wide(logits: Logits) -> Logits:
    # In half precision the small losses of certain pixels would be rounded to 0.
    return logits.astype(sum_dtype(logits.dtype))
