"""A placed diagram as SVG text, light and dark, with hover texts."""

from collections.abc import Iterator, Sequence
from html import escape

from cnnjax.analysis.diagrams.blocks import Block, Box
from cnnjax.analysis.diagrams.places import Placed
from cnnjax.analysis.diagrams.sizes import (
    CHIP,
    LINE,
    SMALL,
    TEXT,
    TITLE,
    box_texts,
    header_size,
    header_texts,
    text_width,
)
from cnnjax.analysis.diagrams.words import shape_label
from cnnjax.analysis.graph.network import NetworkGraph

_MARGIN = 8
# Fill and line of each category: light, dark.
_COLORS = {
    "conv": ("#dcebf8", "#3a7fb0", "#15344e", "#5fa9dc"),
    "dense": ("#eadff6", "#835fb3", "#33274a", "#b092e0"),
    "pool": ("#fcebd2", "#b8761c", "#43321a", "#dba24b"),
    "join": ("#d8f1e3", "#2d8a5f", "#143b2a", "#4fc08d"),
    "light": ("#edf0f3", "#7f8995", "#2a313a", "#8d97a4"),
    "other": ("#edf0f3", "#7f8995", "#2a313a", "#8d97a4"),
    "module": ("#fbf6d9", "#8f7d1d", "#39340f", "#c9b64a"),
    "end": ("#ffffff", "#7f8995", "#1a1f26", "#8d97a4"),
}


def svg_text(graph: NetworkGraph, placed: Placed) -> str:
    """Returns a diagram as SVG.

    Args:
        graph: the network.
        placed: its boxes and blocks, with their places.
    """
    width, height = placed.width + 2 * _MARGIN, placed.height + 2 * _MARGIN
    assert isinstance(placed.item, Block)
    label = _description(graph, placed.item.name)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cnnjax-diagram" role="img" '
        f'aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="{_FONTS}" style="max-width:100%;height:auto">',
        f"<title>{escape(label)}</title>",
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{width:g}" height="{height:g}" rx="10"/>',
        *_draw(graph, placed, _MARGIN, _MARGIN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif"


def _style() -> str:
    """Returns rules that concern nothing outside of the drawing, where it is part of a page."""
    scope = ".cnnjax-diagram"
    rules = {"light": [], "dark": []}
    for name, (fill, line, dark_fill, dark_line) in _COLORS.items():
        for theme, a, b in (("light", fill, line), ("dark", dark_fill, dark_line)):
            rules[theme].append(f"{scope} .{name}>rect{{fill:{a};stroke:{b}}}")
    for theme, paper, block, frame, ink, muted, wire in (
        ("light", "#ffffff", "#f6f8fa", "#c3cad2", "#15191e", "#4d5661", "#67717d"),
        ("dark", "#14181d", "#1b2027", "#424b56", "#e9edf1", "#aab3be", "#98a2ae"),
    ):
        rules[theme] += [
            f"{scope} .paper,{scope} .chip rect{{fill:{paper}}}",
            f"{scope} .frame{{fill:{block};stroke:{frame}}}",
            f"{scope} .block .chip rect{{fill:{block}}}",
            f"{scope} .lid{{fill:{frame};fill-opacity:.35}}",
            f"{scope} text{{fill:{ink}}}",
            f"{scope} .muted{{fill:{muted}}}",
            f"{scope} .wire{{stroke:{wire}}}",
            f"{scope} .head{{fill:{wire}}}",
        ]
    rules["light"] += [
        f"{scope} .wire{{fill:none;stroke-width:1.4}}",
        f"{scope} .title{{font-weight:650}}",
        f"{scope} .node:hover>rect{{stroke-width:2.5}}",
        f"{scope} .wires g:hover .wire{{stroke-width:3}}",
        f"{scope} .wide{{stroke:transparent;stroke-width:12;fill:none}}",
    ]
    dark = "".join(rules["dark"])
    return "".join(rules["light"]) + f"@media (prefers-color-scheme:dark){{{dark}}}"


def _draw(graph: NetworkGraph, placed: Placed, left: float, top: float) -> Iterator[str]:
    """Yields a box or a block, whose parent's corner is at (left, top)."""
    x, y = left + placed.x, top + placed.y
    item = placed.item
    if isinstance(item, Box):
        yield from _box(graph, item, placed, x, y)
        return
    header = header_size(item)[1]
    yield f'<g class="{"root" if item.is_root else "block"}">'
    if not item.is_root:
        size = f'x="{x:g}" y="{y:g}" width="{placed.width:g}"'
        yield f'<rect class="frame" {size} height="{placed.height:g}" rx="8"/>'
        yield f'<g><rect class="lid" {size} height="{header:g}" rx="8"/>'
        yield f"<title>{escape(_block_hover(item))}</title>"
    yield from _lines(header_texts(item), x + placed.width / 2, y + 4)
    yield "" if item.is_root else "</g>"
    yield '<g class="wires">'
    names = [child.name or getattr(child, "title", "") for child in item.children]
    for wire, points in zip(item.wires, placed.curves, strict=True):
        ends = [names[i] if i >= 0 else item.name for i in (wire.source, wire.target)]
        moved = [(x + a, y + b) for a, b in points]
        hover = f"{ends[0]} → {ends[1]}: {shape_label(wire.shape)}"
        yield from _wire(moved, hover, wire.target >= 0)
    yield "</g>"
    for child in placed.children:
        yield from _draw(graph, child, x, y)
    yield "</g>"


def _box(graph: NetworkGraph, box: Box, placed: Placed, x: float, y: float) -> Iterator[str]:
    yield f'<g class="node {box.category}"><title>{escape(_hover(graph, box))}</title>'
    yield (
        f'<rect x="{x:g}" y="{y:g}" width="{placed.width:g}" height="{placed.height:g}" rx="5"/>'
    )
    middle = x + placed.width / 2
    yield from _lines(box_texts(box), middle, y + 4)
    yield "</g>"
    for number, shape in enumerate(box.shapes):
        text = shape_label(shape)
        width = text_width(text, CHIP) + 6
        base = y + placed.height + 3 + number * LINE
        yield (
            f'<g class="chip"><rect x="{middle - width / 2:g}" y="{base:g}" width="{width:g}" '
            f'height="{LINE}"/><text class="muted" x="{middle:g}" y="{base + 11.5:g}" '
            f'font-size="{CHIP}" text-anchor="middle">{text}</text></g>'
        )


def _lines(texts: Sequence[tuple[str, str]], x: float, y: float) -> Iterator[str]:
    for number, (text, style) in enumerate(texts):
        size = {"title": TITLE, "text": TEXT}.get(style, SMALL)
        name = {"title": "title", "text": "text"}.get(style, "muted")
        yield (
            f'<text class="{name}" x="{x:g}" y="{y + LINE * (number + 0.8):g}" '
            f'font-size="{size}" text-anchor="middle">{escape(text)}</text>'
        )


def _wire(points: list[tuple[float, float]], hover: str, has_head: bool) -> Iterator[str]:
    """Yields a wire: straight beside boxes, curved between rows, with an arrow at its end."""
    (x, y), *rest = points
    path = f"M{x:g} {y:g}"
    for a, b in rest:
        if a == x:
            path += f"V{b:g}"
        else:
            half = (y + b) / 2
            path += f"C{x:g} {half:g} {a:g} {half:g} {a:g} {b:g}"
        x, y = a, b
    yield f'<g><title>{escape(hover)}</title><path class="wide" d="{path}"/>'
    yield f'<path class="wire" d="{path}"/>'
    yield f'<path class="head" d="M{x:g} {y:g}l-3.5 -6h7z"/></g>' if has_head else "</g>"


def _hover(graph: NetworkGraph, box: Box) -> str:
    """Returns the layers of a box with their names, sizes and costs."""
    lines = [f"{box.name} to {box.last}, {box.repeats} times:"] if box.repeats > 1 else []
    if box.is_folded:
        lines.append(f"{box.name} ({box.title}), {len(box.nodes)} layers")
    for i in [] if box.is_folded else box.nodes:
        node = graph.nodes[i]
        texts = [f"{node.name} ({node.kind})", shape_label(node.shape)]
        texts += [
            f"{'/'.join(path[1:])} {'×'.join(map(str, shape))}"
            for path, shape in node.variables.items()
            if path[0] == "params"
        ]
        if node.multiply_adds:
            texts.append(f"{node.multiply_adds:,} multiply-adds")
        lines.append(", ".join(texts))
    if box.parameters:
        lines.append(f"{box.parameters:,} parameters")
    return "\n".join(lines) or box.title


def _block_hover(block: Block) -> str:
    text = f"{block.name} ({block.kind}), {block.parameters:,} parameters"
    if block.repeats > 1:
        text += f", {block.repeats} times, from {block.name} to {block.last or block.name}"
    return text


def _description(graph: NetworkGraph, name: str) -> str:
    """Returns the diagram in a sentence, for those who hear it."""
    first, last = graph.nodes[0], graph.nodes[graph.outputs[0]]
    layers = sum(bool(node.multiply_adds) for node in graph.nodes)
    joins = sum(sum(edge.target == i for edge in graph.edges) > 1 for i in range(len(graph.nodes)))
    return (
        f"{name}: from {shape_label(first.shape)} to {shape_label(last.shape)}, {layers} "
        f"layers with products, {joins} joins, {graph.parameters:,} parameters"
    )
