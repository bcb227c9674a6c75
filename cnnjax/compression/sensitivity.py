"""How much each layer's channels are worth: a network's score without some of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnjax import inference
from cnnjax.compression.choose_channels import By, check_ratio, chosen_channels
from cnnjax.compression.filter_pruning import FilterPruning
from cnnjax.compression.shrink import kept_places, masked_variables
from cnnjax.training.loop.evaluation import EVAL_BATCH, make_evaluator


@dataclass(frozen=True)
class Sensitivity:
    """The scores of a network without a share of one group's channels, for each group.

    Attributes:
        metric: what the scores are, such as "accuracy".
        whole: the score of the whole network.
        ratios: the shares of channels that were removed.
        scores: the score for each share, by group.
    """

    metric: str
    whole: float
    ratios: tuple[float, ...]
    scores: dict[str, tuple[float, ...]]

    def __str__(self) -> str:
        wide = max(len(name) for name in (*self.scores, "removed"))
        rows = {"removed": self.ratios, **self.scores}
        lines = [
            f"{name:<{wide}}  " + "  ".join(f"{value:<8.4g}" for value in values)
            for name, values in rows.items()
        ]
        return "\n".join([f"{self.metric} of the whole network: {self.whole:.4g}", *lines])


def pruning_sensitivity(
    network: inference.Network,
    ratios: Sequence[float] = (0.25, 0.5, 0.75),
    *,
    by: By = "l1",
    seed: int = 0,
    batch_size: int = EVAL_BATCH,
) -> Sensitivity:
    """Evaluates a network without a share of the channels of one group at a time, untrained.

    Groups whose channels cannot be removed are left out. Layers that lose much with few channels
    are best kept whole: `prune_filters(..., keep=...)`, or rules of shares for `ratio`.

    Args:
        network: such as `inference.load` returns; its examples are evaluated.
        ratios: the shares of channels to remove, each from 0 to below 1.
        by: see `prune_filters`.
        seed: see `prune_filters`.
        batch_size: examples in a batch.

    Raises:
        ValueError: a share is out of range, or no channel of the network can be removed.

    Source: Li et al., 2017 ("Pruning filters for efficient convnets"), section 3.2, figure 2.
    """
    for ratio in ratios:
        check_ratio("ratios", ratio)
    model, variables, shape = network.model, network.variables, network.image_shape
    pruning = FilterPruning.of(model, variables, shape, by, seed)
    # With zeros in the place of channels the program is the same one: it is compiled once.
    evaluate = make_evaluator(
        model, network.task, network.preprocess, network.examples, batch_size, read=network.read
    )
    metric = network.task.score.metric

    def score(removed: dict[str, np.ndarray]) -> float:
        kept = kept_places(pruning.groups, removed, variables)
        return float(evaluate(masked_variables(variables, kept), network.task_state)[metric])

    def without(name: str, ratio: float) -> float:
        shares = {group.name: ratio * (group.name == name) for group in pruning.groups.removable}
        return score(chosen_channels(pruning.groups, pruning.orders, shares, 1))

    scores = {
        group.name: tuple(without(group.name, ratio) for ratio in ratios)
        for group in pruning.groups.removable
    }
    return Sensitivity(metric, score({}), tuple(ratios), scores)
