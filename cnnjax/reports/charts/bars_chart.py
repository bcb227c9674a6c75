"""Bars that are compared to marks, above the shares of examples in them: a diagram in SVG."""

from html import escape

from cnnjax.tasks.sections import Bars, Bin

# In units of the drawing: the place and the size of the bars, and those of the strip below.
_LEFT, _TOP, _WIDTH, _HEIGHT = 62, 8, 320, 240
_STRIP_TOP, _STRIP = 302, 56


def bars_chart(bars: Bars) -> str:
    """Draws each bin's height as a bar, crossed by its mark, above the share of examples in it.

    Args:
        bars: the bins, from the lowest to the highest.

    Returns:
        An `<svg>` element in the page's colors.
    """
    most = max((part.share for part in bars.bins), default=0) or 1
    parts = [_grid(bars), *(_bar(part, most) for part in bars.bins)]
    parts.append(
        f'<line x1="{_LEFT}" y1="{_y(0)}" x2="{_LEFT + _WIDTH}" y2="{_y(1)}" '
        'stroke="var(--ink)" stroke-dasharray="5 5"/>'
        f'<line x1="{_LEFT}" y1="{_STRIP_TOP + _STRIP}" x2="{_LEFT + _WIDTH}" '
        f'y2="{_STRIP_TOP + _STRIP}" stroke="var(--line)"/>'
    )
    label = escape(f"{bars.title}: {bars.up} by {bars.across}, and {bars.below}")
    size = f"{_LEFT + _WIDTH + 14} {_STRIP_TOP + _STRIP + 34}"
    return f'<svg viewBox="0 0 {size}" role="img" aria-label="{label}">' + "".join(parts) + "</svg>"


def _bar(part: Bin, most: float) -> str:
    """Returns one bin; `most` is the largest share of examples in any bin."""
    x, width = _LEFT + part.low * _WIDTH, (part.high - part.low) * _WIDTH
    # At least 2 pixels: without a bar, a bin with examples would look empty.
    height = max(part.height * _HEIGHT, 2)
    share = max(part.share / most * _STRIP, 1)
    pale = ' opacity=".35"' if part.pale else ""
    return (
        f"<g{pale}><title>{escape(part.title)}</title>"
        f'<rect x="{x + 1:.1f}" y="{_TOP + _HEIGHT - height:.1f}" width="{width - 2:.1f}" '
        f'height="{height:.1f}" fill="var(--c1)"/>'
        f'<line x1="{x + 1:.1f}" x2="{x + width - 1:.1f}" '
        f'y1="{_y(part.mark):.1f}" y2="{_y(part.mark):.1f}" '
        'stroke="var(--c2)" stroke-width="3"/>'
        f'<rect x="{x + 1:.1f}" y="{_STRIP_TOP + _STRIP - share:.1f}" width="{width - 2:.1f}" '
        f'height="{share:.1f}" fill="var(--muted)"/></g>'
    )


def _y(share: float) -> float:
    return _TOP + (1 - share) * _HEIGHT


def _grid(bars: Bars) -> str:
    """Returns the axes with their numbers and names."""
    lines = []
    for percent in range(0, 101, 25):
        y, x = _y(percent / 100), _LEFT + percent / 100 * _WIDTH
        lines.append(
            f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}" stroke="var(--line)"/>'
            + _text(_LEFT - 8, y + 4, str(percent), "end")
            + _text(x, _TOP + _HEIGHT + 18, str(percent), "middle")
        )
    middle = _TOP + _HEIGHT / 2
    lines += [
        _text(_LEFT + _WIDTH / 2, _TOP + _HEIGHT + 38, bars.across, "middle", "ink"),
        _text(14, middle, bars.up, "middle", "ink", f' transform="rotate(-90 14 {middle})"'),
        _text(_LEFT + _WIDTH / 2, _STRIP_TOP + _STRIP + 24, bars.below, "middle", "ink"),
    ]
    return "".join(lines)


def _text(x: float, y: float, words: str, anchor: str, color: str = "muted", more: str = "") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="var(--{color})" '
        f'font-size="13"{more}>{escape(words)}</text>'
    )
