"""The page's pictures of the network: its graph, its kernels and one image's activation maps."""

from typing import Any

import numpy as np

from cnnjax.analysis.diagrams.diagram import diagram
from cnnjax.analysis.looks.activations import stage_activations
from cnnjax.analysis.looks.kernels import first_layer_kernels, kernel_pictures
from cnnjax.reports.formats import sentence
from cnnjax.reports.pictures import color_tile, heat_map, photo, value_range
from cnnjax.reports.task_sections import draw_bars, has_long_names
from cnnjax.tasks.sections import Example

_SHOWN_KERNELS = 96
_SHOWN_MAPS = 16
_SHOWN_VALUES = 512


def diagram_section(model: Any, variables: Any, inputs: np.ndarray, name: str) -> str:
    """Returns the network as a graph of its layers, as SVG.

    Args:
        model: the network.
        variables: its variables.
        inputs: network inputs, float32 [batch, height, width, channels].
        name: the network's name.
    """
    return diagram(model, inputs.shape[1:], variables=variables, dtype=inputs.dtype, name=name)


def kernel_section(model: Any, variables: Any, inputs: np.ndarray) -> dict[str, Any] | None:
    """Returns the first convolution's kernels as pictures; None for a network without one.

    Args:
        model: the network.
        variables: its variables.
        inputs: network inputs, float32 [batch, height, width, channels].

    Returns:
        `layer`, its name; `tiles`, pictures; `total`, the number of kernels; `color`, whether they
        are in color; `shape`, as text; and `largest`, the largest absolute weight.
    """
    try:
        name, kernel = first_layer_kernels(model, variables, inputs)
    except ValueError:
        return None
    pictures = kernel_pictures(kernel)
    if pictures.shape[-1] == 3:
        tiles = [color_tile(picture) for picture in pictures[:_SHOWN_KERNELS]]
    else:
        tiles = [
            heat_map(picture[..., 0], low=-1, high=1, colors="PuOr")
            for picture in pictures[:_SHOWN_KERNELS]
        ]
    return {
        "layer": name,
        "tiles": tiles,
        "total": len(pictures),
        "color": pictures.shape[-1] == 3,
        "shape": " × ".join(map(str, kernel.shape)),
        "largest": float(np.abs(np.asarray(kernel)).max()),
    }


def activation_section(
    model: Any, variables: Any, inputs: np.ndarray, image: np.ndarray, example: Example
) -> dict[str, Any]:
    """Returns the activations of one image, layer by layer.

    Args:
        model: the network.
        variables: its variables.
        inputs: the image as network input, float32 [1, height, width, channels].
        image: the stored image, uint8 [height, width, channels].
        example: the image's name, and what the network predicts of it.

    Returns:
        The image as `picture`, its `name` and `input_shape`; `layers`, each with its name, its
        shape, its smallest and largest value, and `tiles` of maps or a `strip` of values; and the
        prediction, as `bars`, `heading` and `note`.
    """
    layers = []
    for name, values in stage_activations(model, variables, inputs).items():
        array = np.asarray(values, np.float32)[0]
        if array.ndim == 3:
            layers.append(_map_layer(name, array))
        elif array.ndim == 1:
            layers.append(_vector_layer(name, array))
    return {
        "picture": photo(image, max_side=192),
        "name": sentence(example.name),
        "input_shape": " × ".join(map(str, inputs.shape[1:])),
        "layers": layers,
        "bars": draw_bars(example.bars),
        "long": has_long_names(example.bars),
        "heading": example.heading,
        "note": example.note,
    }


def _map_layer(name: str, array: np.ndarray) -> dict[str, Any]:
    low, high = value_range(array)
    channels = array.shape[-1]
    # Of many maps the most varied ones: maps of one value show nothing.
    strength = np.nan_to_num(array).std(axis=(0, 1))
    chosen = np.sort(np.argsort(-strength, kind="stable")[:_SHOWN_MAPS])
    return {
        "name": name,
        "shape": " × ".join(map(str, array.shape)),
        "tiles": [heat_map(array[..., c], low=low, high=high) for c in chosen],
        "total": channels,
        "low": low,
        "high": high,
    }


def _vector_layer(name: str, array: np.ndarray) -> dict[str, Any]:
    low, high = value_range(array)
    shown = array[:_SHOWN_VALUES]
    return {
        "name": name,
        "shape": str(array.size),
        "strip": heat_map(shown[None], low=low, high=high, max_side=_SHOWN_VALUES),
        "shown": shown.size,
        "total": array.size,
        "low": low,
        "high": high,
    }
