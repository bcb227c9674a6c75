"""The description of a search over cells."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from cnnjax import models
from cnnjax.search.cells.cost import NetCost, net_cost
from cnnjax.search.cells.genome import Edge, Genome
from cnnjax.search.cells.net import CellNet
from cnnjax.search.cells.operations import OPERATIONS
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.errors import SearchError
from cnnjax.search.loop.evaluators import Evaluator
from cnnjax.search.strategies.evolution import Evolution
from cnnjax.search.strategies.strategy import Strategy


@dataclass(frozen=True, kw_only=True)
class CellSearch:
    """A search over cells: the best on held-out examples is trained from scratch and tested once.

    Attributes:
        space: the space of the cells.
        evaluator: gives a cell its score.
        input_size: height, width and channels of the images.
        num_classes: number of logits.
        network: further fields of `CellNet`, such as `stages`, `cells` and `width`.
        strategy: how cells are proposed.
        evaluations: number of cells that are evaluated.
        most_multiply_adds: cells of more are not proposed; None for any number.
        ahead: how many evaluations may be under way at once. The history depends on this number and
            the seed, and not on the number of processes.
        seed: of the proposals.
        final_seeds: of the trainings of the chosen cell.

    Raises:
        SearchError: a value cannot work; the message names it.
    """

    space: CellSpace
    evaluator: Evaluator
    input_size: tuple[int, int, int]
    num_classes: int = 10
    network: Mapping[str, Any] = field(default_factory=dict)
    strategy: Strategy = field(default_factory=Evolution)
    evaluations: int = 100
    most_multiply_adds: int | None = None
    ahead: int = 1
    seed: int = 0
    final_seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        """Refuses what cannot work."""
        self.strategy.check(self.evaluations)
        for name, least in (("ahead", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SearchError(
                    f"search.{name}: {value!r} was given; give a whole number from {least} on"
                )
        if not self.final_seeds:
            raise SearchError("search.final_seeds: none were given; give one or more")
        if not isinstance(self.evaluator, Evaluator):
            raise SearchError(
                f"search.evaluator: {self.evaluator!r:.80} was given; give a search.QuickEvaluator,"
                " a search.RunEvaluator or one derived from search.Evaluator"
            )

    def net(self, genome: Genome) -> CellNet:
        """Returns the network of a cell.

        Args:
            genome: a cell of the space.

        Raises:
            GenomeError: it is of another space.
        """
        self.space.check(genome)
        fields = {"inputs": self.space.inputs, "num_classes": self.num_classes, **self.network}
        return CellNet(genome=genome, **fields)

    def cost(self, genome: Genome) -> NetCost:
        """Returns what the network of a cell costs.

        Args:
            genome: a cell of the space.
        """
        known = self._costs
        key = self.space.canonical(genome)
        if key not in known:
            known[key] = net_cost(self.net(key), self.input_size)
        return known[key]

    @cached_property
    def _costs(self) -> dict[Genome, NetCost]:
        return {}

    def allows(self, genome: Genome) -> bool:
        """Returns whether a cell is within the bound of multiply-adds.

        Args:
            genome: a cell of the space.
        """
        bound = self.most_multiply_adds
        return bound is None or self.cost(genome).multiply_adds <= bound

    def check_budget(self) -> None:
        """Refuses a bound of multiply-adds that not even simple cells keep.

        Raises:
            SearchError: the bound is too low; the message names the cheapest cell that was tried.
        """
        if self.most_multiply_adds is None:
            return
        cells = [
            self._simple(name, chained)
            for name in self.space.operations
            for chained in (False, True)
        ]
        cheapest = min(cells, key=lambda genome: self.cost(genome).multiply_adds)
        least = self.cost(cheapest).multiply_adds
        if least > self.most_multiply_adds:
            raise SearchError(
                f"search.most_multiply_adds: {self.most_multiply_adds:,} was given, but even "
                f"{cheapest} takes {least:,}; give more, or a smaller network"
            )

    def _simple(self, name: str, chained: bool) -> Genome:
        """Returns the cell of one operation whose nodes are a chain, or all take one input."""
        first = self.space.inputs - 1

        def source(node: int) -> int:
            return first + node if chained and node else 0

        cell = tuple(
            (Edge(source(node), name),) * self.space.edges for node in range(self.space.nodes)
        )
        return Genome(cell, cell if self.space.reduction else None)

    def describe(self) -> dict[str, Any]:
        """Returns what distinguishes the search from others, as JSON values."""
        return {
            "space": {**asdict(self.space), "operations": list(self.space.operations)},
            "strategy": self.strategy.describe(),
            "evaluator": self.evaluator.describe(),
            "input_size": list(self.input_size),
            "num_classes": self.num_classes,
            "network": dict(self.network),
            "most_multiply_adds": self.most_multiply_adds,
            "ahead": self.ahead,
            "seed": self.seed,
            "final_seeds": list(self.final_seeds),
        }

    def parts(self) -> list[dict[str, Any]]:
        """Returns where own operations are defined, for `parts.restore` in another process."""
        return [record for name in self.space.operations if (record := OPERATIONS.record(name))]

    def register(self, name: str, genome: Genome) -> None:
        """Registers the network of a cell, so that `models.create_model` makes it.

        Args:
            name: the network's.
            genome: a cell of the space.

        Raises:
            GenomeError: the cell is of another space.
            ValueError: the name is taken.
        """
        self.space.check(genome)
        fields = {"inputs": self.space.inputs, "num_classes": self.num_classes, **self.network}
        models.register_model(name, input_size=self.input_size, genome=str(genome), **fields)(
            CellNet
        )
