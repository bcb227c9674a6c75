"""Features of many images in the plane, so that similar images lie close together."""

from typing import Any, Literal

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from cnnjax.extras import installed_with


def embed_features(
    features: Float[ArrayLike, "images ..."],
    method: Literal["pca", "tsne"] = "tsne",
    *,
    seed: int = 0,
    perplexity: float = 30.0,
) -> Float[np.ndarray, "images 2"]:
    """Places each image's features in the plane.

    Args:
        features: one row an image, of any shape; such as a layer's `activations`.
        method: "pca" for the two directions of most variance; "tsne" keeps neighbors together.
        seed: randomness of t-SNE.
        perplexity: about how many neighbors t-SNE keeps together; lowered if there are few images.

    Returns:
        Two coordinates an image, scaled to 0..1 each.

    Raises:
        ValueError: fewer than 3 images, or an unknown method.

    Source: van der Maaten and Hinton, 2008 (t-SNE); Pearson, 1901 (PCA).
    """
    rows = np.asarray(features, np.float32)
    if rows.ndim < 2 or len(rows) < 3:
        raise ValueError(
            f"embed_features: features of shape {rows.shape}; expected a row for each of at least "
            "3 images"
        )
    rows = rows.reshape(len(rows), -1)
    if method == "pca":
        with installed_with("report"):
            from sklearn.decomposition import PCA

        # PCA finds no more directions than there are features.
        if rows.shape[1] < 2:
            rows = np.pad(rows, ((0, 0), (0, 1)))
        places = PCA(2, random_state=seed).fit_transform(rows)
    elif method == "tsne":
        with installed_with("report"):
            from sklearn.manifold import TSNE

        # scikit-learn searches three times as many neighbors as the perplexity.
        perplexity = min(perplexity, (len(rows) - 1) / 3)
        # Started from PCA, so that distant groups keep their order.
        embedding: Any = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
        places = embedding.fit_transform(rows)
    else:
        raise ValueError(f"embed_features: method {method!r}; there are 'pca' and 'tsne'")
    low = places.min(axis=0)
    spread = places.max(axis=0) - low
    # A direction in which all images agree has no spread to divide by.
    return ((places - low) / np.where(spread > 0, spread, 1)).astype(np.float32)


def canvas(
    places: Float[np.ndarray, "images 2"],
    images: Float[ArrayLike, "images height width channels"],
    *,
    size: int = 800,
) -> Float[np.ndarray, "{size} {size} channels"]:
    """Draws the images at their places; where two would overlap the later one is left out.

    Args:
        places: coordinates in 0..1: columns from the left, rows from the bottom.
        images: pictures, 0..1.
        size: side of the canvas in pixels.

    Returns:
        The canvas in 0..1, empty parts 1.

    Raises:
        ValueError: the pictures are larger than the canvas, or a coordinate is not in 0..1.
    """
    pictures = np.asarray(images, np.float32)
    height, width, channels = pictures.shape[1:]
    if max(height, width) > size:
        raise ValueError(
            f"canvas: pictures of {height}x{width} do not fit a canvas of {size}x{size}; give a "
            "larger size or smaller pictures"
        )
    if not ((places >= 0) & (places <= 1)).all():
        raise ValueError("canvas: a place is not in 0..1; give places as embed_features does")
    drawn = np.ones((size, size, channels), np.float32)
    taken = np.zeros((size, size), bool)
    for (x, y), picture in zip(places, pictures, strict=True):
        # Rows of a picture are counted from the top, coordinates from the bottom.
        row = round((1 - float(y)) * (size - height))
        column = round(float(x) * (size - width))
        where = (slice(row, row + height), slice(column, column + width))
        if not taken[where].any():
            drawn[where] = picture
            taken[where] = True
    return drawn
