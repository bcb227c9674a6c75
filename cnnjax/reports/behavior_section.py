"""The page's tables and curves of what the network costs and how it behaves."""

from typing import Any, Literal

import jax
import numpy as np

from cnnjax import compiler, nn
from cnnjax.analysis.batches import BATCH, in_batches
from cnnjax.analysis.behavior.embedding import canvas, embed_features
from cnnjax.analysis.behavior.invariance import Change, invariance_curves
from cnnjax.analysis.behavior.rectifiers import dead_units
from cnnjax.analysis.behavior.signals import LayerSignal, layer_signals
from cnnjax.analysis.cost.summary import Summary
from cnnjax.analysis.cost.summary_formats import compact, pair_text, totals
from cnnjax.analysis.cost.tables import shape_text
from cnnjax.analysis.looks.activations import (
    activation_shapes,
    activations,
    stage_activations,
)
from cnnjax.extras import installed_with
from cnnjax.reports.charts import Line, line_chart
from cnnjax.reports.pictures import color_tile, displayed

_RIGHT, _WRONG = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
_NEUTRAL = (0.25, 0.25, 0.25)
# Multiply-adds that the curves may cost, and images that they have at least.
_INVARIANCE_BUDGET = 2e11
_LEAST_IMAGES = 60


def cost_section(summary: Summary) -> dict[str, Any]:
    """The rows of the summary, as text, with a bar for each layer's share of the operations."""
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
    """Accuracy and probability of the true class while the images are moved, turned and scaled.

    Args:
        model, variables: the network.
        inputs: network inputs, float32 [batch, height, width, channels].
        labels: their classes.
        multiply_adds: of the network for one image; of one that costs much, fewer images are looked
            at.

    Returns:
        `curves`, and `images`, the number of images behind each of their points.
    """
    reach = max(inputs.shape[2] // 4, 1)
    changes: dict[Change, np.ndarray] = {
        "shift": np.linspace(-reach, reach, 9).round(),
        "rotation": np.linspace(-60, 60, 9),
        "scale": np.array([0.5, 0.6, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5]),
    }
    units = {
        "shift": "pixels to the right",
        "rotation": "degrees counter-clockwise",
        "scale": "enlargement",
    }
    points = sum(map(len, changes.values()))
    count = int(_INVARIANCE_BUDGET / (points * max(multiply_adds, 1)))
    count = min(max(count, _LEAST_IMAGES), len(inputs))
    chosen = np.unique(np.linspace(0, len(inputs) - 1, count).round().astype(int))
    # What a dark border looks like to the network.
    fill = float(np.median(inputs[:, [0, -1]]))
    curves = invariance_curves(
        model,
        variables,
        inputs[chosen],
        labels[chosen],
        {change: amounts.tolist() for change, amounts in changes.items()},
        fill=fill,
    )
    drawn = []
    for curve in curves:
        x = curve.amounts.tolist()
        drawn.append(
            {
                "name": curve.change,
                "chart": line_chart(
                    [
                        Line(1, x, (100 * curve.accuracy).tolist()),
                        Line(2, x, (100 * curve.probability).tolist(), marker="s"),
                    ],
                    name=f"invariance-{curve.change}",
                    across=units[curve.change],
                    up="%",
                ),
                "ends": f"{100 * curve.accuracy[0]:.0f} % at {x[0]:g}, "
                f"{100 * curve.accuracy[-1]:.0f} % at {x[-1]:g}",
            }
        )
    return {"curves": drawn, "images": len(chosen)}


def health_section(
    model: Any, variables: Any, inputs: np.ndarray, labels: np.ndarray | None
) -> dict[str, Any]:
    """Activation statistics, gradients by depth and dead ReLUs.

    Args:
        model, variables: the network.
        inputs: network inputs, float32 [batch, height, width, channels].
        labels: their classes; None where the network has none, which leaves the gradients out.
    """
    if labels is None:
        signals = _spreads(model, variables, inputs[:BATCH])
    else:
        signals = layer_signals(model, variables, inputs[:BATCH], labels[:BATCH])
    dead = dead_units(model, variables, inputs)
    depth = range(1, len(signals) + 1)
    lines = [Line(1, depth, [signal.std for signal in signals])]
    if labels is not None:
        lines.append(Line(2, depth, [signal.gradient for signal in signals], "s"))
    return {
        "rows": [
            {
                "name": signal.name,
                "mean": f"{signal.mean:.3g}",
                "std": f"{signal.std:.3g}",
                "zeros": f"{100 * signal.zeros:.0f} %",
                "gradient": f"{signal.gradient:.2g}",
                "dead": f"{int(np.sum(dead[signal.name]))} of {dead[signal.name].size}"
                if signal.name in dead
                else "",
            }
            for signal in signals
        ],
        "chart": line_chart(
            lines, name="signals", across="layer, from first to last", up="size", log=True
        ),
        "gradients": labels is not None,
        "dead": sum(int(np.sum(d)) for d in dead.values()),
        "rectified": sum(int(d.size) for d in dead.values()),
        "images": len(inputs),
    }


def _spreads(model: Any, variables: Any, inputs: np.ndarray) -> list[LayerSignal]:
    """The statistics of each layer's output, without a loss whose gradient could be taken."""
    names = list(activation_shapes(model, variables, inputs))

    @jax.jit
    def measure(variables: Any, inputs: Any) -> dict[str, tuple[Any, ...]]:
        outputs = activations(model, variables, inputs, names=names)
        return {name: (x.mean(), x.std(), (x <= 0).mean()) for name, x in outputs.items()}

    measured = jax.device_get(measure(variables, inputs))
    return [LayerSignal(name, *map(float, measured[name]), gradient=np.nan) for name in names]


def embedding_section(
    model: Any,
    variables: Any,
    inputs: np.ndarray,
    images: np.ndarray,
    right: np.ndarray | None,
) -> list[dict[str, Any]]:
    """The last features before the output in the plane, with the images at their places.

    Args:
        model, variables: the network.
        inputs: network inputs.
        images: the same images as they are stored, uint8.
        right: whether each was predicted rightly; None where that is no question.
    """
    if len(inputs) < 10:
        return []
    layer = _before_output(model, variables, inputs[:1])
    compute = compiler.jit(lambda v, x: stage_activations(model, v, x)[layer])
    features = in_batches(lambda images: compute(variables, images), inputs)
    # Mistakes first: they are drawn where others would cover them.
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
    """The last of the network's stages that is not the output; it, where there is no other."""
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
    """Small pictures in 0..1: gray ones blue where right and orange where wrong, on white."""
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
            thumbs.append(1 - picture[..., None] * (1 - tint))
            continue
        framed = np.broadcast_to(tint, (side, side, 3)).copy()
        framed[2:-2, 2:-2] = picture[2:-2, 2:-2]
        thumbs.append(framed)
    return np.stack(thumbs)
