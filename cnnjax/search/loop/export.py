"""A found cell as a registered model: a Python file, and its diagram."""

import re
from pathlib import Path

from cnnjax import analysis
from cnnjax.search.cells.genome import Genome
from cnnjax.search.errors import SearchError
from cnnjax.search.loop.cell_search import CellSearch
from cnnjax.writing import write_text

_FILE = '''"""A network of cells that a search has found; importing this file registers it."""

from typing import Any

import jax.numpy as jnp

from cnnjax import models, search

GENOME = (
{genome}
)


@models.register_model("{name}", input_size={input_size!r}, source="cnnjax.search", replace=True)
def {name}(num_classes: int = {num_classes}, dtype: Any = jnp.float32) -> search.CellNet:
    """Returns the network.

    Args:
        num_classes: number of logits.
        dtype: dtype of the computation.
    """
    return search.CellNet(
        num_classes=num_classes,
        dtype=dtype,
        genome=GENOME,
{fields}
    )
'''


def export_cell(search: CellSearch, genome: Genome, folder: str | Path, name: str) -> Path:
    """Writes the network of a cell as a Python file that registers it, and its diagram.

    Args:
        search: the search, whose images and fields the network has.
        genome: a cell of its space.
        folder: where `NAME.py` and `NAME.svg` are written; made if it does not exist.
        name: of the network, and of the function in the file.

    Returns:
        The path of the Python file. `create_model("NAME")` makes the network after its import, and
        a configuration names it as "NAME:NAME".

    Raises:
        SearchError: the name is no name of a Python function.
        GenomeError: the cell is of another space.
        MissingPackage: the diagram's packages are not installed.
    """
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) is None:
        raise SearchError(
            f"export_cell: the name {name!r} can't be a function's; give letters a-z, digits and _"
        )
    net, folder = search.net(genome), Path(folder)
    picture = analysis.diagram(net, search.input_size)
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"inputs": search.space.inputs, **search.network}
    text = _FILE.format(
        name=name,
        genome=_wrapped(str(genome)),
        input_size=tuple(search.input_size),
        num_classes=search.num_classes,
        fields="\n".join(f"        {key}={value!r}," for key, value in fields.items()),
    )
    path = folder / f"{name}.py"
    write_text(folder / f"{name}.svg", picture)
    write_text(path, text)
    return path


def _wrapped(text: str) -> str:
    """Returns the lines of a long text as Python writes them."""
    pieces = re.findall(r".{1,80}(?:[ ;|+]|$)", text)
    return "\n".join(f'    "{piece}"' for piece in pieces)
