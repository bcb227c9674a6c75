"""The page's section on signals: outputs, gradients, zeros, residual blocks and ranks by depth."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from cnnjax.analysis.batches import BATCH
from cnnjax.analysis.behavior.effective_rank import FeatureRank, effective_ranks
from cnnjax.analysis.behavior.gradients import LayerGradient, gradients_of
from cnnjax.analysis.behavior.rectifiers import RectifierUse, rectifier_uses
from cnnjax.analysis.behavior.residuals import ResidualBlock, residual_blocks
from cnnjax.analysis.behavior.signals import LayerSignal, layer_signals, signals_of
from cnnjax.reports.charts import Line, line_chart
from cnnjax.reports.task_sections import draw_section
from cnnjax.tasks.sections import Cell, Chart, Column, Part, Section, Series, Table
from cnnjax.tasks.values import Moment

_logger = logging.getLogger(__name__)


def health_section(
    model: Any,
    variables: Mapping[str, Any],
    inputs: np.ndarray,
    task: Any,
    parts: Mapping[str, np.ndarray],
    state: Any = (),
) -> dict[str, Any]:
    """Returns activation statistics, gradients by depth and dead ReLUs.

    Args:
        model: the network.
        variables: its variables.
        inputs: network inputs, float32 [batch, height, width, channels].
        task: gives the loss: its `loss_terms` in evaluation mode.
        parts: the examples' other parts by name: "label", "mask", ...
        state: the task's state.

    Returns:
        `rows`, one for each layer; `chart`, an `<svg>`; `gradients`, whether there are any, and
        `reason`, why there are none; the numbers of `dead` and of all `rectified` units, and of
        `images`; and `groups` of further charts and tables, as `draw_section` returns them.
    """
    if getattr(model, "remat", False):
        # The layers inside of recomputation cannot be observed; the parameters are the same.
        model = model.clone(remat=False)
    # One batch, because the outputs of all layers are kept for the gradients.
    batch = {name: np.asarray(part)[:BATCH] for name, part in parts.items()}
    batch |= {"image": inputs[:BATCH], "weight": np.ones(len(inputs[:BATCH]), np.float32)}
    moment = Moment(key=jax.random.key(0), train=False, state=state)

    def terms(variables: Any, batch: Any) -> Any:
        return task.loss_terms(model, variables, batch, moment)

    reason = _why_not(terms, variables, batch)
    if reason:
        signals = layer_signals(model, variables, batch["image"])
        gradients: Sequence[LayerGradient] = ()
    else:
        # The sum over examples, so that the gradient by an example's output is that of its loss.
        count = len(batch["weight"])
        signals = signals_of(lambda v, b: count * sum(terms(v, b).values()), variables, batch)
        gradients = gradients_of(terms, variables, batch)
    uses = rectifier_uses(model, variables, inputs)
    return {
        "rows": _rows(signals, gradients, uses),
        "chart": _signal_chart(signals, with_gradient=not reason),
        "gradients": not reason,
        "reason": reason,
        "dead": sum(int(np.sum(use.dead)) for use in uses.values()),
        "rectified": sum(int(use.dead.size) for use in uses.values()),
        "images": len(inputs),
        "groups": _groups(
            gradients,
            uses,
            residual_blocks(model, variables, batch["image"]),
            effective_ranks(model, variables, inputs),
        ),
    }


def _why_not(terms: Any, variables: Any, batch: Any) -> str:
    """Returns why the task's loss cannot be computed for the batch; "" if it can be."""
    try:
        jax.eval_shape(terms, variables, batch)
    except (NotImplementedError, KeyError) as error:
        # Such as a loss that needs a second stream, which evaluated examples do not have.
        reason = f"{type(error).__name__}: {error}"
        _logger.warning("the task's loss of evaluated examples is not known: %s", reason)
        return reason
    return ""


def _signal_chart(signals: Sequence[LayerSignal], with_gradient: bool) -> str | None:
    """Returns the chart of spreads and gradients as an `<svg>`."""
    depth = range(1, len(signals) + 1)
    lines = [Line(1, depth, [signal.std for signal in signals], name="spread of the output")]
    if with_gradient:
        gradients = [signal.gradient for signal in signals]
        lines.append(Line(2, depth, gradients, "s", name="gradient"))
    return line_chart(
        lines, name="signals", across="layer, from first to last", up="size", log=True
    )


def _rows(
    signals: Sequence[LayerSignal],
    gradients: Sequence[LayerGradient],
    uses: Mapping[str, RectifierUse],
) -> list[dict[str, str]]:
    """Returns the rows of the table as text."""
    by_weights = {layer.name: f"{layer.total:.2g}" for layer in gradients}
    by_relu = {name: f"{int(np.sum(use.dead))} of {use.dead.size}" for name, use in uses.items()}
    return [
        {
            "name": signal.name,
            "mean": f"{signal.mean:.3g}",
            "std": f"{signal.std:.3g}",
            "zeros": f"{100 * signal.off:.0f} %",
            "gradient": f"{signal.gradient:.2g}",
            "weights": by_weights.get(signal.name, ""),
            "dead": by_relu.get(signal.name, ""),
        }
        for signal in signals
    ]


def _groups(
    gradients: Sequence[LayerGradient],
    uses: Mapping[str, RectifierUse],
    blocks: Sequence[ResidualBlock],
    ranks: Sequence[FeatureRank],
) -> list[dict[str, Any]]:
    """Returns the further charts and tables, two beside each other."""
    parts: list[Part] = []
    if gradients:
        parts.append(_gradient_chart(gradients))
    if uses:
        parts.append(_zeros_chart({name: use.zeros for name, use in uses.items()}))
    if blocks:
        parts.append(_block_chart(blocks))
    if ranks:
        parts.append(_rank_table(ranks))
    return draw_section(Section("health", "", "", parts))["groups"]


def _gradient_chart(gradients: Sequence[LayerGradient]) -> Chart:
    main, *heads = gradients[0].terms
    # Norms, whose gradients are of another size, and the layers of heads would make the line a
    # zigzag. A network of norms alone, or one whose gradients are all 0, is drawn whole.
    layers = [layer for layer in gradients if layer.has_kernel and layer.terms[main]]
    layers = layers or list(gradients)
    depth = list(range(1, len(layers) + 1))
    whole = [layer.total for layer in layers]
    series = [Series("whole loss" if heads else "", depth, whole)]
    caption = "Norm of the gradient of the mean loss by the parameters of each layer with a kernel."
    if heads:
        series += [
            Series(f"{main} alone", depth, [layer.terms[main] for layer in layers]),
            Series(f"{', '.join(heads)} alone", depth, [layer.others for layer in layers]),
        ]
        caption += (
            " The gradients of output and heads add up to that of the whole loss, as vectors; the "
            "heads do not reach the layers behind them."
        )
    return Chart(
        "Gradient by the parameters",
        series,
        "layer, from first to last",
        "norm",
        ("logarithmic",),
        caption,
    )


def _zeros_chart(zeros: Mapping[str, float]) -> Chart:
    least, most = min(zeros, key=zeros.__getitem__), max(zeros, key=zeros.__getitem__)
    return Chart(
        "Zeros after each ReLU",
        _line_above_zero([100 * share for share in zeros.values()]),
        "ReLU, from first to last",
        "zeros, %",
        caption=f"From {100 * zeros[least]:.0f} % after {least or 'the network'} to "
        f"{100 * zeros[most]:.0f} % after {most or 'the network'}.",
    )


def _block_chart(blocks: Sequence[ResidualBlock]) -> Chart:
    # An infinite ratio, of a shortcut that is 0 everywhere, is no point of the chart.
    least, most = (choose(blocks, key=lambda block: block.ratio) for choose in (min, max))
    return Chart(
        "What each residual block adds",
        _line_above_zero([block.ratio for block in blocks]),
        "block, from first to last",
        "‖F(x)‖ / ‖x‖",
        caption="The branch F(x) beside the shortcut x, as they are added: from "
        f"{least.ratio:.2f} in {least.name or 'the network'} to {most.ratio:.2f} in "
        f"{most.name or 'the network'}. A block near 0 changes little.",
    )


def _line_above_zero(values: Sequence[float]) -> list[Series]:
    """Returns a line of values, and a dashed one at 0, so that the axis starts there."""
    places = list(range(1, len(values) + 1))
    return [Series("", places, values), Series("", [1, len(values)], [0, 0], dashed=True)]


def _rank_table(ranks: Sequence[FeatureRank]) -> Table:
    columns = ("stage", "", Column("effective rank", True), Column("channels", True))
    rows = [
        (
            rank.name,
            # Features with a NaN have no rank, and no bar.
            Cell("", bar=0.0 if math.isnan(rank.rank) else min(rank.rank / rank.channels, 1.0)),
            f"{rank.rank:.1f}",
            f"{rank.channels:,}",
        )
        for rank in ranks
    ]
    caption = (
        "In how many directions the channels vary: exp of the entropy of the singular values of "
        "the centered features, as shares of their sum (Roy and Vetterli, 2007). The bar is the "
        "share of the channels."
    )
    return Table("Effective rank", columns, rows, caption)
