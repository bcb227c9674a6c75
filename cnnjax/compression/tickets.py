"""Lottery tickets: the weights that training leaves large, trained again from their start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnjax import training
from cnnjax.compression.choose_channels import check_ratio
from cnnjax.compression.masked_training import masked_run
from cnnjax.compression.weight_masks import (
    KERNELS,
    Masks,
    Scope,
    apply_masks,
    sparsity_of,
    weight_masks,
)


@dataclass(frozen=True, eq=False)
class Ticket:
    """A sparse network before its training.

    Attributes:
        run: trains it: the given run, with masks, from the rewound variables.
        variables: the variables that it starts from, zero where a weight was removed.
        masks: of its parameters.
        sparsity: the share of the masked arrays' weights that are removed.
        rounds: the result of each round of training, the first of the whole network.
    """

    run: training.Run
    variables: dict[str, Any]
    masks: Masks
    sparsity: float
    rounds: tuple[training.RunResult, ...]


def find_ticket(
    run: training.Run,
    sparsity: float,
    *,
    rounds: int = 1,
    scope: Scope = "global",
    layers: Sequence[str] = KERNELS,
    rewind_to: Mapping[str, Any] | None = None,
    workdir: str | Path | None = None,
    **arguments: Any,
) -> Ticket:
    """Trains, removes the smallest weights, and sets the others back to where they started.

    With several rounds each removes the same share of the weights that are left, and trains what
    stays from the start again.

    Args:
        run: trains the whole network.
        sparsity: the share of weights that are removed in the end, from 0 to below 1.
        rounds: how often it trains and removes.
        scope: "global" or "layer"; see `weight_masks`.
        layers: patterns of the arrays that are pruned.
        rewind_to: the variables that the ticket starts from; None for the run's first ones. Those
            of an early checkpoint suit larger networks.
        workdir: each round is kept there in a folder of its own, and a search that was stopped goes
            on from it; None to keep all in memory.
        **arguments: further ones of `training.fit`.

    Returns:
        The ticket; `training.fit(ticket.run)` trains it.

    Raises:
        ValueError: a value is not allowed.

    Source: Frankle and Carbin, 2019 ("The lottery ticket hypothesis"), section 1; rewinding to an
    early step is of Frankle et al., 2020 ("Linear mode connectivity"), section 3.
    """
    check_ratio("sparsity", sparsity)
    if not isinstance(rounds, int) or rounds < 1:
        raise ValueError(f"rounds: {rounds!r} was given; give a whole number from 1 on")
    start = rewind_to or run.init_state().variables
    sparse, results = run, []
    masks: Masks = {}
    for number in range(1, rounds + 1):
        folder = None if workdir is None else Path(workdir) / f"round_{number}"
        result = training.fit(sparse, folder, **arguments)
        results.append(result)
        # The same share of what is left, in each round.
        share = 1 - (1 - sparsity) ** (number / rounds)
        masks = weight_masks(result.variables["params"], share, scope=scope, layers=layers)
        sparse = masked_run(run.replace(variables=start, start=None), masks)
    variables = apply_masks(start, masks)
    return Ticket(sparse, variables, masks, sparsity_of(masks), tuple(results))
