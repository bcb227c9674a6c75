"""The page's tables and curves of what the network costs and how it behaves."""

from typing import Any, Literal

import jax
import numpy as np

from cnnjax import compiler, nn
from cnnjax.analysis.batches import in_batches
from cnnjax.analysis.behavior.embedding import canvas, embed_features
from cnnjax.analysis.behavior.invariance import Change, InvarianceCurve, invariance_curves
from cnnjax.analysis.cost.summary import Summary, compact, pair_text, totals
from cnnjax.analysis.cost.tables import shape_text
from cnnjax.analysis.looks.activations import stage_activations
from cnnjax.extras import installed_with
from cnnjax.reports.charts import Line, line_chart
from cnnjax.reports.pictures import color_tile, displayed

_RIGHT, _WRONG = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
_NEUTRAL = (0.25, 0.25, 0.25)
# The largest number of multiply-adds that the curves may cost, unless that leaves fewer than the
# least number of images.
_INVARIANCE_BUDGET = 2e11
_LEAST_IMAGES = 60
_UNITS = {
    "shift": "pixels to the right",
    "rotation": "degrees counter-clockwise",
    "scale": "enlargement",
}


def cost_section(summary: Summary) -> dict[str, Any]:
    """Returns the rows of a summary as text, with a bar for each layer's multiply-adds.

    Args:
        summary: the summary.

    Returns:
        `rows`, each with the columns of the table and with `share`, its per cent of the largest
        layer's multiply-adds; and `totals`, lines of text.
    """
    most = max((row.multiply_adds for row in summary.rows), default=0) or 1
    return {
        "rows": [
            {
                "name": row.name,
                "kind": row.kind,
                "shape": shape_text(row.shape),
                "parameters": compact(row.parameters),
                "multiply_adds": compact(row.multiply_adds),
                "share": 100 * row.multiply_adds / most,
                "numbers": compact(row.values),
                "kept": compact(row.bytes_kept),
                "field": pair_text(row.field),
                "stride": pair_text(row.stride),
            }
            for row in summary.rows
        ],
        "totals": totals(summary),
    }


def invariance_section(
    model: Any, variables: Any, inputs: np.ndarray, labels: np.ndarray, multiply_adds: int
) -> dict[str, Any]:
    """Returns curves of a network on images that are moved, turned and scaled.

    Args:
        model: the network.
        variables: its variables.
        inputs: network inputs, float32 [batch, height, width, channels].
        labels: their classes.
        multiply_adds: of the network for one image; the more there are, the fewer images are used.

    Returns:
        `curves` of accuracy and of the probability of the true class, and `images`, the number of
        images that each of their points is computed from.
    """
    # A quarter of the width keeps most of an object inside.
    reach = max(inputs.shape[2] // 4, 1)
    changes: dict[Change, np.ndarray] = {
        "shift": np.linspace(-reach, reach, 9).round(),
        "rotation": np.linspace(-60, 60, 9),
        "scale": np.array([0.5, 0.6, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5]),
    }
    points = sum(map(len, changes.values()))
    count = int(_INVARIANCE_BUDGET / (points * max(multiply_adds, 1)))
    count = min(max(count, _LEAST_IMAGES), len(inputs))
    chosen = np.unique(np.linspace(0, len(inputs) - 1, count).round().astype(int))
    # What comes in from outside has the value of a usual border, so that it forms no edge.
    fill = float(np.median(inputs[:, [0, -1]]))
    curves = invariance_curves(
        model,
        variables,
        inputs[chosen],
        labels[chosen],
        {change: amounts.tolist() for change, amounts in changes.items()},
        fill=fill,
    )
    return {"curves": [_drawn_curve(curve) for curve in curves], "images": len(chosen)}


def _drawn_curve(curve: InvarianceCurve) -> dict[str, Any]:
    """Returns the chart of one change, and the accuracy at both of its ends."""
    x = curve.amounts.tolist()
    return {
        "name": curve.change,
        "chart": line_chart(
            [
                Line(1, x, (100 * curve.accuracy).tolist(), name="accuracy"),
                Line(
                    2,
                    x,
                    (100 * curve.probability).tolist(),
                    marker="s",
                    name="probability of the true class",
                ),
            ],
            name=f"invariance-{curve.change}",
            across=_UNITS[curve.change],
            up="%",
        ),
        "ends": f"{100 * curve.accuracy[0]:.0f} % at {x[0]:g}, "
        f"{100 * curve.accuracy[-1]:.0f} % at {x[-1]:g}",
    }


def embedding_section(
    model: Any,
    variables: Any,
    inputs: np.ndarray,
    images: np.ndarray,
    right: np.ndarray | None,
) -> list[dict[str, Any]]:
    """Returns the last features before the output in the plane, with images at their places.

    Args:
        model: the network.
        variables: its variables.
        inputs: network inputs.
        images: the same images as they are stored, uint8.
        right: whether each was predicted correctly; None for a task without classes.

    Returns:
        A picture for each method; none for fewer than 10 images, or features that are not finite.
    """
    if len(inputs) < 10:
        return []
    layer = _before_output(model, variables, inputs[:1])
    # Compiled once, for batches of one size.
    compute = compiler.jit(lambda v, x: stage_activations(model, v, x)[layer])
    features = in_batches(lambda images: compute(variables, images), inputs)
    # t-SNE and PCA know no NaN, which a network that diverged gives.
    if not np.isfinite(features).all():
        return []
    # Mistakes first: of two pictures that would overlap, the first is drawn.
    order = np.arange(len(images)) if right is None else np.argsort(right, kind="stable")
    thumbs = _thumbnails(images[order], None if right is None else right[order])
    methods: tuple[tuple[Literal["tsne", "pca"], str], ...] = (("tsne", "t-SNE"), ("pca", "PCA"))
    sections = []
    for method, label in methods:
        places = embed_features(features, method)
        sections.append(
            {
                "method": label,
                "layer": layer,
                "picture": color_tile(canvas(places[order], thumbs, size=900)),
            }
        )
    return sections


def _before_output(model: Any, variables: Any, inputs: np.ndarray) -> str:
    """Returns the last stage before the output; the output itself if it is the only vector."""
    order: list[str] = []

    def run(variables: Any, inputs: Any) -> tuple[list[Any], Any]:
        stages = stage_activations(model, variables, inputs)
        order[:] = stages
        return list(stages.values()), nn.apply_network(model, variables, inputs, train=False)

    shapes, logits = jax.eval_shape(run, variables, inputs)
    vectors = [shape for shape in shapes if len(shape.shape) == 2]
    ends_with_logits = shapes[-1].shape == logits.shape
    return order[-2] if len(vectors) > 1 and ends_with_logits else order[-1]


def _thumbnails(images: np.ndarray, right: np.ndarray | None, side: int = 22) -> np.ndarray:
    """Returns small pictures in 0..1, tinted or framed: blue if right and orange if wrong."""
    with installed_with("report"):
        from PIL import Image

    thumbs = []
    for place, image in enumerate(images):
        shown = displayed(image)
        gray = shown.shape[-1] == 1
        picture = Image.fromarray(shown[..., 0] if gray else shown)
        picture = np.asarray(picture.resize((side, side), Image.Resampling.BOX), np.float32) / 255
        tint = np.array(_NEUTRAL if right is None else _RIGHT if right[place] else _WRONG)
        tint = tint.astype(np.float32)
        if gray:
            # Bright strokes take the tint, and the dark background becomes the page's white.
            thumbs.append(1 - picture[..., None] * (1 - tint))
            continue
        # A tint would change the colors of the image, so that it gets a frame.
        framed = np.broadcast_to(tint, (side, side, 3)).copy()
        framed[2:-2, 2:-2] = picture[2:-2, 2:-2]
        thumbs.append(framed)
    return np.stack(thumbs)
