"""Learned architectures: cells that are evolved, and a table of all cells of a small space."""

from cnnjax.search.cells.cost import NetCost, net_cost
from cnnjax.search.cells.genome import Cell, Edge, Genome, parse_genome
from cnnjax.search.cells.net import CellNet
from cnnjax.search.cells.operations import OPERATIONS, Operation, register_operation
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.cells.training import QuickTraining, Sets, train_quickly
from cnnjax.search.cells.variation import cross, mutate
from cnnjax.search.errors import GenomeError, SearchError
from cnnjax.search.loop.cell_search import CellSearch
from cnnjax.search.loop.evaluators import Evaluator, QuickEvaluator, RunEvaluator
from cnnjax.search.loop.export import export_cell
from cnnjax.search.loop.folder import ChosenCell
from cnnjax.search.loop.run_cell_search import (
    CellResults,
    collect_cells,
    format_cells,
    run_cell_search,
)
from cnnjax.search.loop.worker import CellOptions
from cnnjax.search.strategies.evolution import Evolution
from cnnjax.search.strategies.pareto import pareto_front
from cnnjax.search.strategies.random_search import RandomSearch
from cnnjax.search.strategies.reinforce import Reinforce
from cnnjax.search.strategies.strategy import Evaluated, Proposer, Strategy, search_in_memory
from cnnjax.search.table.lookup import CellTable, Courses, repeat_on_table
from cnnjax.search.table.table import MeasuredCell

__all__ = [
    "OPERATIONS",
    "Cell",
    "CellNet",
    "CellOptions",
    "CellResults",
    "CellSearch",
    "CellSpace",
    "CellTable",
    "ChosenCell",
    "Courses",
    "Edge",
    "Evaluated",
    "Evaluator",
    "Evolution",
    "Genome",
    "GenomeError",
    "MeasuredCell",
    "NetCost",
    "Operation",
    "Proposer",
    "QuickEvaluator",
    "QuickTraining",
    "RandomSearch",
    "Reinforce",
    "RunEvaluator",
    "SearchError",
    "Sets",
    "Strategy",
    "collect_cells",
    "cross",
    "export_cell",
    "format_cells",
    "mutate",
    "net_cost",
    "pareto_front",
    "parse_genome",
    "register_operation",
    "repeat_on_table",
    "run_cell_search",
    "search_in_memory",
    "train_quickly",
]
