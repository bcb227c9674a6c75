"""Arrays of another run, another library or our own files, by our paths but in their own shapes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnjax import digests
from cnnjax.models.weights import files
from cnnjax.models.weights.mismatch import WeightsError
from cnnjax.models.weights.sources import OURS, TABLES, find_table, own_slots
from cnnjax.models.weights.tables import Slot, Table, leaves, slots

ArrayPath = tuple[str, ...]
"""The keys that lead to an array, its collection first: ("params", "conv1", "kernel")."""


@dataclass(frozen=True)
class GivenArrays:
    """Trained arrays that a network may start from.

    Attributes:
        origin: where they come from, for messages: a file or a run.
        source: "run", or the library whose names the file has.
        arrays: by our path; in our layout, but in the shapes that they were given in.
        unused: names in the file for which the network has no array.
        sha256: digest of the file; None for a run.
    """

    origin: str
    source: str
    arrays: Mapping[ArrayPath, np.ndarray]
    unused: tuple[str, ...] = ()
    sha256: str | None = None


def given_by_variables(origin: str, variables: Mapping[str, Any]) -> GivenArrays:
    """Returns the arrays of another network's variables.

    Args:
        origin: where they come from, for messages.
        variables: parameters and other collections.
    """
    arrays = {path: np.asarray(leaf) for path, leaf in leaves(variables).items()}
    return GivenArrays(origin, "run", arrays)


def read_given(
    model: Any, variables: Mapping[str, Any], path: str | os.PathLike[str], source: str | None
) -> GivenArrays:
    """Reads the arrays of a safetensors file that have a place in a network, whatever their shapes.

    Args:
        model: the network.
        variables: its variables, arrays or shapes.
        path: of the file.
        source: "torchvision", "timm" or "cnnjax"; None for the one that most of its names fit.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: it is damaged, or none of its arrays has a place in the network.
        ValueError: the source is unknown, or has no such network.
    """
    problems = []
    best: tuple[int, str, Table | None, list[Slot]] | None = None
    for candidate in (source,) if source else (OURS, *TABLES):
        try:
            table, places = _places(model, variables, candidate)
        except ValueError as error:
            problems.append(f"as {candidate}: {error}")
            continue
        with files.open_tensors(path, table.rename if table else str) as tensors:
            count = sum(slot.name in tensors.shapes for slot in places)
        if count and (best is None or count > best[0]):
            best = count, candidate, table, places
    if best is None:
        # The file itself may be at fault; opening it names that first.
        with files.open_tensors(path) as tensors:
            names = ", ".join(list(tensors.shapes)[:3])
        tried = "".join(f"\n  {line}" for line in problems)
        raise WeightsError(
            f"{path}: none of its arrays ({names}, ...) has a place in "
            f"{type(model).__name__}; give the weights of the same network{tried}"
        )
    _, found, table, places = best
    return _read(Path(path), found, table, places)


def _places(
    model: Any, variables: Mapping[str, Any], source: str
) -> tuple[Table | None, list[Slot]]:
    if source == OURS:
        return None, own_slots(variables)
    table = find_table(model, source)
    return table, slots(model, table.rules_for(model), variables)


def _read(path: Path, source: str, table: Table | None, places: list[Slot]) -> GivenArrays:
    rows: dict[ArrayPath, list[tuple[int | None, np.ndarray]]] = {}
    with files.open_tensors(path, table.rename if table else str) as tensors:
        needed = {slot.name for slot in places}
        ignored = table.unneeded(needed, tensors.shapes) if table else set()
        for slot in places:
            if slot.name in tensors.shapes:
                array = slot.layout.to_ours(tensors.read(slot.name))
                rows.setdefault(slot.path, []).append((slot.index, array))
        unused = tuple(n for n in tensors.shapes if n not in needed and n not in ignored)
    arrays = {
        place: found[0][1] if found[0][0] is None else np.stack([array for _, array in found])
        for place, found in rows.items()
    }
    return GivenArrays(str(path), source, arrays, unused, digests.of_file(path))
