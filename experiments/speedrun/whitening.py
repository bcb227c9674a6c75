"""The first layer's kernels, computed from training images rather than learned."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import ops
from experiments.speedrun.network import PATCH

EPSILON = 5e-4


def whitening_kernel(
    images: Float[Array, "batch height width channels"], epsilon: float = EPSILON
) -> Float[Array, "patch_height patch_width channels filters"]:
    """Returns the eigenvectors of the second moments of all 2x2 patches, and their negatives.

    Each is divided by sqrt(eigenvalue + epsilon), so that over these patches the outputs of the
    first half are uncorrelated and have a second moment of 1, except for epsilon.

    Args:
        images: normalized images, float32.
        epsilon: keeps directions without variance small, in squared units of the images.

    Source: Coates and Ng, 2012; arXiv 2404.00498, section 3.2.
    """
    patches = ops.im2col(images, PATCH, padding="VALID")
    size = patches.shape[-1]
    rows = patches.reshape(-1, size)
    # TF32, a GPU's default, would lose the small eigenvalues.
    moments = jnp.matmul(rows.T, rows, precision="highest") / rows.shape[0]
    values, vectors = jnp.linalg.eigh(moments)
    kernel = (vectors / jnp.sqrt(values + epsilon)[None, :]).reshape(
        PATCH, PATCH, images.shape[-1], size
    )
    return jnp.concatenate([kernel, -kernel], axis=-1)
