"""Learned architectures: cells that are evolved, and a table of all cells of a small space."""

from cnnjax.search.cells.genome import Cell, Edge, Genome, parse_genome
from cnnjax.search.cells.net import CellNet
from cnnjax.search.cells.operations import OPERATIONS, Operation, register_operation
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.cells.variation import cross, mutate
from cnnjax.search.errors import GenomeError, SearchError

__all__ = [
    "OPERATIONS",
    "Cell",
    "CellNet",
    "CellSpace",
    "Edge",
    "Genome",
    "GenomeError",
    "Operation",
    "SearchError",
    "cross",
    "mutate",
    "parse_genome",
    "register_operation",
]
