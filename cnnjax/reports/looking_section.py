"""The page's pictures of what the network looks at: for single images, maps and classes."""

import contextlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from cnnjax import compiler
from cnnjax.analysis.batches import in_batches
from cnnjax.analysis.calls import module_calls
from cnnjax.analysis.cost.summary import Summary
from cnnjax.analysis.looks.activations import activations, output_shapes
from cnnjax.analysis.looks.attribution import grad_cam, occlusion_map, saliency
from cnnjax.analysis.looks.class_image import class_images
from cnnjax.analysis.looks.deconvnet import deconvnet
from cnnjax.analysis.looks.effective_field import effective_receptive_field, effective_size
from cnnjax.reports.pictures import boxed, color_tile, heat_map, overlaid, photo, rescaled
from cnnjax.tasks.class_predictions import ClassPredictions

_EXAMPLES = 5
# Pixels of an example's longer side: the page shows fewer until the reader enlarges it.
_SIDE = 224
_DECONVOLVED = 8
_CLASSES = 10
_FIELD_IMAGES = 16
# The largest number of multiply-adds that the class images and the occlusion maps may cost, unless
# that leaves fewer than the least number of steps or places.
_CLASS_IMAGE_BUDGET = 2e11
_CLASS_IMAGE_STEPS = (20, 200)
_OCCLUSION_BUDGET = 1e11
_LEAST_PLACES, _MOST_PLACES = 7, 13


def looking_section(
    model: Any,
    variables: Any,
    inputs: np.ndarray,
    images: np.ndarray,
    classes: ClassPredictions | None,
    summary: Summary,
) -> dict[str, Any] | None:
    """Returns pictures of what the network looks at; None for a network without maps.

    Args:
        model: the network.
        variables: its variables.
        inputs: network inputs, float32 [batch, height, width, channels].
        images: the same images as they are stored, uint8.
        classes: their true and predicted classes; None for a task without classes, which leaves out
            the pictures of a class.
        summary: the network's summary.

    Returns:
        `layer`, the last layer with maps; `examples`, single images; `fields`, receptive fields;
        `projections` of the strongest maps; and `classes`, an image for each.
    """
    layers = map_layers(model, variables, inputs)
    if not layers:
        return None
    last = layers[-1]
    return {
        "layer": last,
        "examples": []
        if classes is None
        else _examples(model, variables, inputs, images, classes, summary, last),
        "fields": _fields(model, variables, inputs, layers, summary),
        "projections": _projections(model, variables, inputs, images, last),
        "classes": []
        if classes is None
        else _class_pictures(model, variables, inputs, classes.class_names, summary),
    }


def map_layers(model: Any, variables: Any, inputs: np.ndarray) -> list[str]:
    """Returns the outermost module calls with maps larger than 1x1, without pools and norms.

    Args:
        model: the network.
        variables: its variables.
        inputs: network inputs [batch, height, width, channels], of which the first is used.
    """
    # Outermost calls are blocks, which are few and have names that a reader knows.
    calls = [c for c in module_calls(model, variables, inputs[:1]) if len(c.path) == 1]
    names = [c.name for c in calls if not any(w in c.kind for w in ("Pool", "Norm", "Dropout"))]
    outputs = output_shapes(model, variables, inputs[:1])
    # A module may return several arrays, as an encoder does.
    sizes = {name: outputs[name].shape for name in names if name in outputs}
    return [name for name, s in sizes.items() if len(s) == 4 and s[1] > 1 and s[2] > 1]


def _examples(
    model: Any,
    variables: Any,
    inputs: np.ndarray,
    images: np.ndarray,
    classes: ClassPredictions,
    summary: Summary,
    layer: str,
) -> list[dict[str, Any]]:
    """Returns the pictures of a few images, each of another predicted class."""
    names = classes.class_names
    predicted, chosen = np.unique(classes.predicted, return_index=True)
    # An image without a prediction has the number after the last class.
    chosen = np.sort(chosen[predicted < len(names)])[:_EXAMPLES]
    if not len(chosen):
        return []
    found = jnp.asarray(classes.predicted[chosen])
    salient = np.asarray(saliency(model, variables, inputs[chosen], found))
    cams = np.asarray(grad_cam(model, variables, inputs[chosen], found, layer))
    height, width = inputs.shape[1:3]
    # A fifth of the side hides a part of an object and leaves the rest.
    patch = max(min(height, width) // 5, 1)
    places = _OCCLUSION_BUDGET / (len(chosen) * max(summary.multiply_adds, 1))
    across = int(np.clip(places**0.5, _LEAST_PLACES, _MOST_PLACES))
    stride = max(-(-(max(height, width) - patch) // (across - 1)), 1)
    examples = []
    occluded = np.asarray(
        occlusion_map(model, variables, inputs[chosen], found, patch=patch, stride=stride)
    )
    for i, place in enumerate(chosen):
        hidden = occluded[i]
        # The maps are of the network's input, which may be a resized or padded image.
        seen = (rescaled(inputs[place]) * 255).round().astype(np.uint8)
        drop = over_pixels(hidden.max() - hidden, (height, width), patch, stride)
        examples.append(
            {
                "picture": photo(images[place], max_side=_SIDE, exact=False),
                "predicted": names[int(classes.predicted[place])],
                "truth": names[int(classes.labels[place])],
                "saliency": heat_map(
                    salient[i], low=0, high=float(salient[i].max()), max_side=_SIDE
                ),
                "cam": overlaid(seen, cams[i], max_side=_SIDE),
                # Bright where hiding lowers the probability most.
                "occlusion": overlaid(seen, drop, max_side=_SIDE),
                "lowest": float(hidden.min()),
                "patch": patch,
            }
        )
    return examples


def over_pixels(
    values: Float[np.ndarray, "rows columns"], size: tuple[int, int], patch: int, stride: int
) -> Float[np.ndarray, "height width"]:
    """Returns for each pixel the mean over the squares that hide it; 0 where none does.

    Args:
        values: one for each place of the square, see `occlusion_map`.
        size: height and width of the image.
        patch: side of the square in pixels.
        stride: pixels between its places.
    """
    total, count = np.zeros(size), np.zeros(size)
    for (row, column), value in np.ndenumerate(values):
        hidden = np.s_[
            row * stride : row * stride + patch, column * stride : column * stride + patch
        ]
        total[hidden] += value
        count[hidden] += 1
    return total / np.maximum(count, 1)


def _fields(
    model: Any, variables: Any, inputs: np.ndarray, layers: list[str], summary: Summary
) -> list[dict[str, Any]]:
    """Returns the effective receptive fields of a few layers, boxed by those from shapes."""
    rows = {}
    for name in layers:
        # A module that computes nothing, such as dropout, has no row.
        with contextlib.suppress(KeyError):
            rows[name] = summary.row(name)
    known = [name for name, row in rows.items() if row.field]
    # Not of the first layer, whose field is its kernel.
    places = sorted({len(known) // 3, 2 * len(known) // 3, len(known) - 1}) if known else []
    fields = []
    for name in (known[place] for place in places):
        row = rows[name]
        if row.field is None or row.stride is None or row.padding is None:
            continue
        field = np.asarray(
            effective_receptive_field(model, variables, inputs[:_FIELD_IMAGES], name)
        )
        middle = (row.shape[0] // 2, row.shape[1] // 2)
        top, left = (m * s - p for m, s, p in zip(middle, row.stride, row.padding, strict=True))
        fields.append(
            {
                "name": name,
                # The square root makes the faint rim visible.
                "picture": boxed(np.sqrt(field), (round(top), round(left)), row.field, side=192),
                "field": f"{row.field[0]} × {row.field[1]}",
                "effective": effective_size(field),
            }
        )
    return fields


def _projections(
    model: Any, variables: Any, inputs: np.ndarray, images: np.ndarray, layer: str
) -> list[dict[str, Any]]:
    """Returns for the strongest maps the image with the highest value, and its projection."""

    @compiler.jit
    def highest(variables: Any, images: Any) -> Any:
        return activations(model, variables, images, names=[layer])[layer].max(axis=(1, 2))

    peaks = in_batches(lambda images: highest(variables, images), inputs)
    busiest = np.argsort(-peaks.max(axis=0), kind="stable")[:_DECONVOLVED]
    # The map is an argument, so that all share one program.
    project = compiler.jit(lambda v, images, c: deconvnet(model, v, images, layer, c))
    projections = []
    for channel in sorted(busiest.tolist()):
        image = int(peaks[:, channel].argmax())
        projected = np.asarray(project(variables, inputs[image : image + 1], channel))[0]
        projections.append(
            {
                "channel": channel,
                "picture": photo(images[image], max_side=96),
                "projection": color_tile(rescaled(projected)),
            }
        )
    return projections


def _class_pictures(
    model: Any, variables: Any, inputs: np.ndarray, names: Sequence[str], summary: Summary
) -> list[dict[str, Any]]:
    """Returns for each class an image that has a high score of it."""
    classes = range(min(len(names), _CLASSES))
    steps = _CLASS_IMAGE_BUDGET / (3 * max(summary.multiply_adds, 1) * len(classes))
    steps = int(np.clip(steps, *_CLASS_IMAGE_STEPS))
    # From a mean image: at zeros, the gradient of a network without biases is 0.
    start = np.repeat(inputs.mean(axis=0, keepdims=True), len(classes), axis=0)
    found, scores = class_images(
        model,
        variables,
        start,
        np.array(classes),
        steps=steps,
        # The fewer the steps the longer, so that all climb about as far.
        learning_rate=min(6 / steps, 0.1),
        decay=0.02,
        blur=1.2 * max(inputs.shape[1] / 32, 1),
        shift=max(inputs.shape[1] // 16, 1),
        key=jax.random.key(0),
    )
    return [
        {
            "name": names[c],
            "picture": color_tile(rescaled(np.asarray(found[c]))),
            "score": float(scores[-1, c]),
        }
        for c in classes
    ]
