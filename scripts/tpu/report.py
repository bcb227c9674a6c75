"""The page of compiled steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cnnjax.analysis.cost.roofline import CHIPS, Roofline, roofline

Row = dict[str, Any]

CHIP = "v5e"
_SUMS = ("all-reduce", "reduce-scatter")


def least(row: Row) -> Roofline:
    """Returns the least times of a step on v5e.

    Args:
        row: as `steps.compile_row` gives it.
    """
    summed = sum(row["collectives"].get(kind, {"bytes": 0})["bytes"] for kind in _SUMS)
    return roofline(
        row["flops"],
        row["bytes_accessed"],
        summed_bytes=summed,
        chips=row["chips"],
        chip=CHIP,
    )


def markdown(rows: Iterable[Row], notes: str = "") -> str:
    """Returns the page.

    Args:
        rows: as `steps.compile_row` gives them; only networks with both backward passes are shown.
        notes: paragraphs after the tables.
    """
    pairs = _pairs(rows)
    lines = [
        "# Training steps, compiled for TPU v5e",
        "",
        "`JAX_PLATFORMS=cpu python -m scripts.aot_tpu --out=docs/results/tpu_aot`",
        "",
        "Compiled by XLA's TPU compiler for chips that are described and not there: nothing ran. "
        f"{_versions(pairs)}. Forward and backward pass and SGD with momentum in bfloat16, with "
        "float32 parameters; dropout is off. All numbers are of one chip. Ours against "
        '`backward="native"`.',
        "",
        "| network | chips | images a chip | GFLOP | bytes accessed, GB | temporary, MB | "
        "arguments, MB | fusions | compile, s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for ours, native in pairs:
        cells = [
            _both(ours, native, "flops", 1e9, 1),
            _both(ours, native, "bytes_accessed", 1e9, 2),
            _both(ours, native, "temporary_bytes", 1e6, 0),
            _both(ours, native, "argument_bytes", 1e6, 0),
            _both(ours, native, "fusions", 1, 0),
            _both(ours, native, "compile_seconds", 1, 0),
        ]
        start = f"| {ours['net']} | {ours['chips']} | {ours['images_per_chip']} | "
        lines.append(start + " | ".join(cells) + " |")
    lines += [*_between_chips(pairs), *_least_times(pairs)]
    return "\n".join(lines) + "\n" + (f"\n{notes.strip()}\n" if notes else "")


def _between_chips(pairs: list[tuple[Row, Row]]) -> list[str]:
    """Returns the section about collective operations."""
    return [
        "",
        "## Between chips",
        "",
        "| network | chips | ours: number and MB | native: number and MB |",
        "|---|--:|---|---|",
        *(
            f"| {ours['net']} | {ours['chips']} | {_kinds(ours)} | {_kinds(native)} |"
            for ours, native in pairs
            if ours["chips"] > 1
        ),
    ]


def _least_times(pairs: list[tuple[Row, Row]]) -> list[str]:
    """Returns the section about the least time of a step."""
    peaks = CHIPS[CHIP]
    lines = [
        "",
        "## The least time of a step, a prediction",
        "",
        "From FLOPs, bytes and the peaks that Google publishes of a chip: "
        f"{peaks.flops / 1e12:.0f} TFLOP/s in bfloat16, "
        f"{peaks.memory_speed / 1e9:.0f} GB/s of memory, "
        f"{peaks.link_speed / 1e9:.0f} GB/s between chips. No step was timed. The compiler counts "
        "bytes that stay in the chip's fast memory, too, so that a step may be faster; and no "
        "program reaches all peaks.",
        "",
        "| network | chips | ours, ms | native, ms | native / ours | limit |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for ours, native in pairs:
        one, other = least(ours), least(native)
        lines.append(
            f"| {ours['net']} | {ours['chips']} | {1e3 * one.seconds:.2f} | "
            f"{1e3 * other.seconds:.2f} | {other.seconds / one.seconds:.2f} | {one.limit} |"
        )
    return lines


def _pairs(rows: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Returns the rows of both backward passes, where both are there."""
    found: dict[tuple[str, int], dict[str, Row]] = {}
    for row in rows:
        found.setdefault((row["model"], row["chips"]), {})[row["backward"]] = row
    return [(each["ours"], each["native"]) for each in found.values() if len(each) == 2]


def _versions(pairs: list[tuple[Row, Row]]) -> str:
    used = {
        ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        for pair in pairs
        for row in pair
    }
    return "; ".join(sorted(used)) or "No versions"


def _both(ours: Row, native: Row, name: str, unit: float, digits: int) -> str:
    return f"{ours[name] / unit:,.{digits}f}, {native[name] / unit:,.{digits}f}"


def _kinds(row: Row) -> str:
    parts = [
        f"{each['count']} {kind}, {each['bytes'] / 1e6:,.1f}"
        for kind, each in sorted(row["collectives"].items())
    ]
    return "; ".join(parts) or "none"
