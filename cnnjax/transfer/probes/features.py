"""The features of a layer for many examples, computed once, and kept on the disk where asked."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import compiler, data, models, patterns
from cnnjax.data.kept_arrays import kept_arrays
from cnnjax.models.features import feature_shapes
from cnnjax.models.net import Net
from cnnjax.nearest import did_you_mean
from cnnjax.training.identity import describe
from cnnjax.training.loop.prediction import PREDICT_BATCH, predict_all

POOLINGS = ("mean", "max", "flatten")
"""How maps [height, width, channels] become a vector."""

LOGITS = "logits"
"""The name of the network's outputs among the layers."""


def layer_features(
    model: Net,
    variables: Mapping[str, Any],
    examples: data.Examples,
    layer: str,
    *,
    preprocess: data.Preprocess = data.Preprocess(),  # noqa: B008 (it cannot be changed)
    pooling: str = "mean",
    batch_size: int = PREDICT_BATCH,
    folder: str | Path | None = None,
) -> Float[np.ndarray, "examples features"]:
    """Returns the features of a layer for all examples, as the network gives them in evaluation.

    Args:
        model: a network of the zoo.
        variables: its variables.
        examples: their images; their labels are not read.
        layer: name of a feature of `models.apply_with_features`, or "logits".
        preprocess: from stored images to network inputs.
        pooling: "mean" or "max" over the places of maps, or "flatten".
        batch_size: images at once.
        folder: where the features are kept; they are read from there where network, examples, layer
            and settings are the same. None keeps none.

    Returns:
        The features, float32.

    Raises:
        ValueError: the layer or the pooling is unknown, or the examples have no images.
        DataFolderError: the folder cannot be written.

    Example:
        >>> model = models.create_model("resnet8_cifar", 10)
        >>> variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
        >>> images = data.from_arrays(image=np.zeros((3, 8, 8, 1), np.uint8))
        >>> layer_features(model, variables, images, "stage3").shape
        (3, 64)
    """
    _check(model, examples, layer, preprocess, pooling)

    @compiler.jit
    def compute(variables: Mapping[str, Any], images: Any) -> Array:
        logits, features = models.apply_with_features(
            model, variables, preprocess.images(images), train=False
        )
        chosen = logits if layer == LOGITS else features[layer]
        return _pooled(chosen.astype(jnp.float32), pooling)

    def make() -> list[np.ndarray]:
        images = data.lazy_images(examples)
        return [predict_all(lambda batch: compute(variables, batch), images, batch_size)]

    if folder is None:
        return make()[0]
    digest = _digest(model, variables, examples, layer, preprocess, pooling)
    path = Path(folder) / f"{layer}-{digest[:16]}.npy"
    return kept_arrays([path], f"features of {layer}", make)[0]


def _pooled(x: Array, pooling: str) -> Float[Array, "batch features"]:
    if x.ndim == 4 and pooling != "flatten":
        return x.mean(axis=(1, 2)) if pooling == "mean" else x.max(axis=(1, 2))
    return x.reshape(len(x), -1)


def _check(
    model: Any, examples: data.Examples, layer: str, preprocess: data.Preprocess, pooling: str
) -> None:
    if not isinstance(model, Net):
        raise ValueError(
            f"model: {type(model).__name__} has no named features; give a network of the zoo, or "
            "derive yours from models.Net"
        )
    if pooling not in POOLINGS:
        raise ValueError(f"pooling: {pooling!r} is unknown; give one of {', '.join(POOLINGS)}")
    if "image" not in examples.spec:
        raise ValueError(f"examples: they have no image; they have {', '.join(examples.spec)}")
    height, width, channels = examples.spec["image"].shape
    shape = preprocess.image_shape((height, width, channels))
    known = [*feature_shapes(model, shape), LOGITS]
    if layer not in known:
        hint = did_you_mean(layer, known, count=1)
        raise ValueError(f"layer: {layer!r} is unknown; {hint}there are {', '.join(known)}")


def _digest(model: Any, variables: Any, examples: data.Examples, *settings: Any) -> str:
    """Returns a digest of all that the features depend on."""
    digest = hashlib.sha256()
    for name, leaf in zip(patterns.path_names(variables), jax.tree.leaves(variables), strict=True):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(array.tobytes())
    described = [describe(model), examples.identity(), describe(settings)]
    digest.update(json.dumps(described, sort_keys=True, default=str).encode())
    return digest.hexdigest()
