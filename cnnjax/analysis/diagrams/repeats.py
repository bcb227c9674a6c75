"""Equal blocks that follow each other, drawn once with their number."""

from dataclasses import replace
from typing import Any

from cnnjax.analysis.diagrams.blocks import Block, Box, Item, Wire


def fold_repeats(block: Block) -> None:
    """Replaces equal blocks that follow each other by the first one, at all levels.

    Blocks are equal if they have the same layers, of the same sizes and with the same connections.
    A layer that is no block stays as it is.

    Args:
        block: what is drawn; it is changed.
    """
    for child in block.children:
        if isinstance(child, Block):
            fold_repeats(child)
    first = 0
    while first < len(block.children):
        following = _following(block, first)
        if following is None or not _equal(block.children[first], block.children[following]):
            first += 1
        else:
            _fold(block, first, following)


def _following(block: Block, first: int) -> int | None:
    """Returns the child that alone takes what a child computes, and takes nothing else."""
    leaving = [wire for wire in block.wires if wire.source == first]
    if len(leaving) != 1 or leaving[0].target < 0:
        return None
    entering = [wire for wire in block.wires if wire.target == leaving[0].target]
    return leaving[0].target if entering == leaving else None


def _equal(first: Item, second: Item) -> bool:
    is_block = isinstance(first, Block) or first.is_folded
    return is_block and signature(first) == signature(second)


def _fold(block: Block, first: int, second: int) -> None:
    """Lets a child stand for the equal one after it, which is removed."""
    kept, removed = block.children[first], block.children[second]
    kept.repeats += removed.repeats
    kept.last = removed.last or removed.name
    (between,) = [wire for wire in block.wires if wire.source == first]
    wires = []
    for wire in block.wires:
        if wire == between:
            continue
        if wire.source == second:
            wire = replace(wire, source=first, output=between.output)
        wires.append(wire)
    del block.children[second]
    block.wires = [
        replace(wire, source=_moved(wire.source, second), target=_moved(wire.target, second))
        for wire in wires
    ]


def _moved(index: int, removed: int) -> int:
    return index - 1 if index > removed else index


def signature(item: Item) -> Any:
    """Returns what equal boxes or blocks have in common; names are left out.

    Args:
        item: a box or a block.
    """
    if isinstance(item, Box):
        return (item.title, *item.lines), item.parameters, item.shapes, item.category
    numbers: dict[int, int] = {}

    def wire_of(wire: Wire) -> Any:
        # Tensors are numbered by their first use, since each block has its own.
        tensors = [numbers.setdefault(t, len(numbers)) for t in (wire.output, wire.input)]
        return wire.source, wire.target, *tensors, wire.shape

    return item.kind, list(map(signature, item.children)), list(map(wire_of, item.wires))
