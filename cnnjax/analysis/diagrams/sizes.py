"""Sizes of texts, boxes and headers, in pixels."""

import re

from cnnjax.analysis.cost.summary import compact
from cnnjax.analysis.diagrams.blocks import Block, Box, Item
from cnnjax.analysis.diagrams.words import params_text, shape_label

TITLE, TEXT, SMALL, CHIP = 12.5, 12.0, 11.5, 11.5
"""Font sizes: a box's title, its other lines, names, and the shapes on wires."""

LINE = 15
"""Height of a line of text."""

BOX_GAP, WIRE_GAP, BLOCK_PADDING, TURN = 12, 5, 10, 22
"""Space between boxes, between wires, within a block's frame, and for a wire's turn."""

_NAME = 14
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|()[] /1"), frozenset("mwMWGOQ@%×")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Returns the width that a text needs, rather too large than too small.

    Args:
        text: the text.
        size: font size.
        bold: whether it is bold.
    """
    ems = sum(0.4 if c in _NARROW else 0.86 if c in _WIDE else 0.62 for c in text)
    return ems * size * (1.06 if bold else 1)


def box_texts(box: Box) -> list[tuple[str, str]]:
    """Returns the lines of a box, each with its style: "name", "title", "text" or "count".

    Args:
        box: the box.
    """
    texts = []
    # A module that is drawn as one box has its class as its title.
    texts += [(line, "name") for line in _wrapped(box.name)]
    texts.append((shortened(box.title) + repeats_text(box), "title"))
    texts += [(shortened(line), "text") for line in box.lines]
    if box.parameters:
        texts.append((compact(box.parameters), "count"))
    return texts


def _wrapped(name: str) -> list[str]:
    """Returns a name in lines of at most `_NAME` characters, broken behind underscores."""
    lines = [""]
    for part in re.findall(r"[^_]*_+|[^_]+", name):
        if lines[-1] and len(lines[-1] + part) > _NAME:
            lines.append("")
        lines[-1] += part
    return [shortened(line) for line in lines if line]


def repeats_text(item: Item) -> str:
    """Returns how often a box or a block is repeated, such as " × 3"; "" for once.

    Args:
        item: the box or block.
    """
    return f" × {item.repeats}" if item.repeats > 1 else ""


def shortened(text: str, length: int = 24) -> str:
    """Returns a text cut to a length; what is cut is shown in the box's hover text.

    Args:
        text: the text.
        length: the most characters.
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def style_width(text: str, style: str) -> float:
    """Returns the width of a line in a style of `box_texts`.

    Args:
        text: the line.
        style: its style.
    """
    size = {"title": TITLE, "text": TEXT}.get(style, SMALL)
    return text_width(text, size, style == "title")


def box_size(box: Box) -> tuple[float, float]:
    """Returns width and height of a box.

    Args:
        box: the box.
    """
    texts = box_texts(box)
    width = max(style_width(*text) for text in texts) + 14
    return float(round(max(width, 56))), float(LINE * len(texts) + 10)


def chip_text(item: Box) -> str:
    """Returns the shape that is written under a box; the longest one of several.

    Args:
        item: the box.
    """
    return max(map(shape_label, item.shapes), key=len, default="")


def header_texts(block: Block) -> list[tuple[str, str]]:
    """Returns the lines above a block's content, each with its style.

    Args:
        block: the block.
    """
    counts = params_text(block.parameters) or "0 params"
    products = f"{compact(block.products) or 0} multiply-adds"
    if block.is_root:
        legend = [("in a box: its params", "count")] if block.parameters else []
        return [(block.name, "title"), (counts, "count"), (products, "count"), *legend]
    return [
        (shortened(block.name, 32) + repeats_text(block), "title"),
        (" · ".join(filter(None, (shortened(block.kind), counts))), "count"),
    ]


def header_size(block: Block) -> tuple[float, float]:
    """Returns width and height of the lines above a block's content.

    Args:
        block: the block.
    """
    texts = header_texts(block)
    return max(style_width(*text) for text in texts), float(LINE * len(texts) + 10)
