"""A table of made-up figures, for tests alone."""

from cnnjax.search.table.make import describe_table
from cnnjax.search.table.table import SPACE, Cells, MeasuredCell

WORTH = {"conv_3x3": 40, "separable_3x3": 25, "max_3x3": -30, "identity": 10}


def made_up_cells():
    """Returns figures that grow with the worth of a cell's operations, but for some noise."""
    cells = []
    for number, genome in enumerate(SPACE.distinct()):
        worth = sum(WORTH[e.operation] * (1 + e.source) for node in genome.normal for e in node)
        counts = tuple(400 + worth // 3 + (number * step) % 7 for step in (1, 2, 3))
        test = tuple(count * 3 // 5 for count in counts)
        cells.append(MeasuredCell(genome, counts, test, 1000 + worth, 100, 1.5))
    return Cells(describe_table(), {"machine": "none"}, tuple(cells))
