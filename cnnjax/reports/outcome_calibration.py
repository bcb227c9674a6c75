"""The page's calibration: how often answers of some confidence are right, as a diagram in SVG."""

from collections.abc import Sequence
from typing import Any

from cnnjax.reports.outcome import Outcome
from cnnjax.tasks.assessment import CalibrationBin

# Bins with fewer images are drawn pale: their accuracy says little.
_FEW = 10
_LEFT, _TOP, _WIDTH, _HEIGHT = 62, 8, 320, 240
_STRIP_TOP, _STRIP = 302, 56


def calibration_section(outcome: Outcome) -> dict[str, Any]:
    """The reliability diagram and what it comes to.

    Returns:
      `chart`, an `<svg>` element; `error`, the expected calibration error; `bins`, their number;
      `confidence` and `accuracy`, means over all images; `nll`, in nats, None if it is infinite.
    """
    assessment = outcome.assessment
    bins = assessment.bins
    filled = [b for b in bins if b.examples]
    counted = sum(b.examples for b in filled)
    confidence = sum(b.examples * b.confidence for b in filled) / max(counted, 1)
    return {
        "chart": reliability_diagram(bins),
        "error": assessment.calibration_error,
        "bins": len(bins),
        "confidence": confidence,
        "accuracy": assessment.accuracy,
        "nll": assessment.nll if assessment.nll < float("inf") else None,
        "few": _FEW,
    }


def reliability_diagram(bins: Sequence[CalibrationBin]) -> str:
    """The accuracy of each bin of confidence as a bar, above the share of images in it.

    Args:
      bins: from the lowest to the highest, all of one width.

    Returns:
      An `<svg>` element in the page's colours.
    """
    total = max(sum(b.examples for b in bins), 1)
    most = max((b.examples for b in bins), default=0) or 1
    bar = _WIDTH / len(bins)
    parts = [_grid()]
    for place, part in enumerate(bins):
        if not part.examples:
            continue
        x = _LEFT + place * bar
        # A bar of no height would hide that there are images, all of them wrong.
        height = max(part.accuracy * _HEIGHT, 2)
        share = max(part.examples / most * _STRIP, 1)
        pale = ' opacity=".35"' if part.examples < _FEW else ""
        parts.append(
            f"<g{pale}><title>Confidence {100 * part.low:.0f} to {100 * part.high:.0f} %: "
            f"{part.examples:,} images, {100 * part.examples / total:.1f} % of all; "
            f"{100 * part.accuracy:.1f} % right, {100 * part.confidence:.1f} % sure</title>"
            f'<rect x="{x + 1:.1f}" y="{_TOP + _HEIGHT - height:.1f}" width="{bar - 2:.1f}" '
            f'height="{height:.1f}" fill="var(--train)"/>'
            f'<line x1="{x + 1:.1f}" x2="{x + bar - 1:.1f}" '
            f'y1="{_y(part.confidence):.1f}" y2="{_y(part.confidence):.1f}" '
            'stroke="var(--test)" stroke-width="3"/>'
            f'<rect x="{x + 1:.1f}" y="{_STRIP_TOP + _STRIP - share:.1f}" width="{bar - 2:.1f}" '
            f'height="{share:.1f}" fill="var(--muted)"/></g>'
        )
    parts.append(
        f'<line x1="{_LEFT}" y1="{_y(0)}" x2="{_LEFT + _WIDTH}" y2="{_y(1)}" '
        'stroke="var(--ink)" stroke-dasharray="5 5"/>'
        f'<line x1="{_LEFT}" y1="{_STRIP_TOP + _STRIP}" x2="{_LEFT + _WIDTH}" '
        f'y2="{_STRIP_TOP + _STRIP}" stroke="var(--line)"/>'
    )
    return (
        f'<svg viewBox="0 0 {_LEFT + _WIDTH + 14} {_STRIP_TOP + _STRIP + 34}" role="img" '
        'aria-label="Accuracy by confidence, and images by confidence">' + "".join(parts) + "</svg>"
    )


def _y(share: float) -> float:
    return _TOP + (1 - share) * _HEIGHT


def _grid() -> str:
    """The axes with their numbers and names."""
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
        _text(_LEFT + _WIDTH / 2, _TOP + _HEIGHT + 38, "confidence, %", "middle", "ink"),
        _text(14, middle, "right, %", "middle", "ink", f' transform="rotate(-90 14 {middle})"'),
        _text(_LEFT + _WIDTH / 2, _STRIP_TOP + _STRIP + 24, "share of the images", "middle", "ink"),
    ]
    return "".join(lines)


def _text(
    x: float, y: float, words: str, anchor: str, colour: str = "muted", more: str = ""
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="var(--{colour})" '
        f'font-size="13"{more}>{words}</text>'
    )
