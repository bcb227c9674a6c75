"""The table of a small space: what was measured of each of its cells."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cnnjax.search.cells.genome import Genome, parse_genome
from cnnjax.search.cells.space import CellSpace
from cnnjax.search.errors import SearchError
from cnnjax.training.folder.json_files import (
    COUNT,
    NUMBER,
    OBJECT,
    OBJECTS,
    TEXT,
    DamagedFile,
    Kind,
    Table,
    find_problem,
    read_json,
)
from cnnjax.writing import write_text

SPACE = CellSpace(
    ("conv_3x3", "separable_3x3", "max_3x3", "identity"), nodes=2, inputs=1, reduction=False
)
"""The table's space: 1,024 genomes, which describe 315 different cells."""

NETWORK: Mapping[str, int] = {"stages": 2, "cells": 1, "width": 4}
"""The fields of `CellNet` with which each cell becomes a network."""

_COUNTS = Kind(
    "a list of whole numbers from 0",
    lambda value: isinstance(value, list) and bool(value) and all(map(COUNT.fits, value)),
)
_TABLE: Table = {"description": OBJECT, "environment": OBJECT, "cells": OBJECTS}
_CELL: Table = {
    "genome": TEXT,
    "validation": _COUNTS,
    "test": _COUNTS,
    "multiply_adds": COUNT,
    "parameters": COUNT,
    "seconds": NUMBER,
}


@dataclass(frozen=True)
class MeasuredCell:
    """What was measured of a cell.

    Attributes:
        genome: the cell, in the form that all its genomes have in common.
        validation: for each seed, the held-out training images that were classified correctly.
        test: for each seed, the test images that were classified correctly.
        multiply_adds: of the network, for one image.
        parameters: of the network.
        seconds: processor time of compiling and training.
    """

    genome: Genome
    validation: tuple[int, ...]
    test: tuple[int, ...]
    multiply_adds: int
    parameters: int
    seconds: float


@dataclass(frozen=True)
class Cells:
    """A table's file.

    Attributes:
        description: what distinguishes the table from others, as JSON values.
        environment: versions and device of the process that wrote it last.
        cells: what was measured, in the order of the space's cells.
    """

    description: Mapping[str, Any]
    environment: Mapping[str, Any] = field(default_factory=dict)
    cells: tuple[MeasuredCell, ...] = ()


def read_cells(path: str | Path) -> Cells:
    """Returns the content of a table's file.

    Args:
        path: the file.

    Raises:
        SearchError: there is no such file, or it is damaged.
    """
    try:
        values = read_json(Path(path), _TABLE)
    except FileNotFoundError:
        raise SearchError(
            f"table: there is no {path}; make it with `python -m scripts.cell_table --out={path}`"
        ) from None
    except DamagedFile as damaged:
        raise SearchError(f"table: {damaged}; restore it, or make it again") from None
    cells = []
    for number, cell in enumerate(values["cells"]):
        if problem := find_problem(cell, _CELL):
            raise SearchError(f"table: {path} is damaged: cell {number}: {problem}")
        counts = {name: tuple(cell[name]) for name in ("validation", "test")}
        rest = {name: cell[name] for name in ("multiply_adds", "parameters", "seconds")}
        cells.append(MeasuredCell(parse_genome(cell["genome"]), **counts, **rest))
    return Cells(values["description"], values["environment"], tuple(cells))


def write_cells(path: str | Path, table: Cells) -> None:
    """Writes a table's file, one line for each cell.

    Args:
        path: the file.
        table: its content.
    """
    write_text(path, _text(table.description, table.environment, table.cells))


def _text(
    description: Mapping[str, Any], environment: Mapping[str, Any], cells: Iterable[MeasuredCell]
) -> str:
    lines = [json.dumps({**asdict(cell), "genome": str(cell.genome)}) for cell in cells]
    head = [
        f'"description": {json.dumps(description)}',
        f'"environment": {json.dumps(environment)}',
    ]
    rows = ",\n".join(lines)
    return "{" + ",\n".join([*head, f'"cells": [\n{rows}\n]']) + "}\n"
