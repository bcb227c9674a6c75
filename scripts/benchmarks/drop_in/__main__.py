"""Measures one network of each library, and writes docs/results/drop_in.md and its JSON.

python -m scripts.benchmarks.drop_in --out=docs/results/drop_in
"""

from __future__ import annotations

import argparse
import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

from cnnjax.writing import write_json, write_text
from scripts.benchmarks.drop_in.steps import LIBRARIES, step_times
from scripts.benchmarks.machine import describe

_DISTRIBUTIONS = {"haiku": "dm-haiku"}


def report(
    repeats: int, batch: int, size: int, libraries: tuple[str, ...], notes: str = ""
) -> dict[str, Any]:
    """Returns the measured times.

    Args:
        repeats: interleaved rounds.
        batch: images a step.
        size: their height and width.
        libraries: some of `LIBRARIES`.
        notes: a sentence about the machine.
    """
    rows = {}
    for library in libraries:
        package = LIBRARIES[library]
        times = step_times(batch, size, repeats, (library,))[library]
        low, high = times.ratio_bounds("lax", "ours")
        rows[library] = {
            "version": metadata.version(_DISTRIBUTIONS.get(package, package)),
            "ms": {name: round(1e3 * times.median(name), 1) for name in times.rounds},
            "gain": round(times.ratio("lax", "ours"), 2),
            "bounds": [round(low, 2), round(high, 2)],
        }
        print(library, rows[library], flush=True)
    command = "python -m scripts.benchmarks.drop_in"
    command += f" --repeats={repeats} --batch={batch} --size={size}"
    return {
        "command": command,
        "machine": describe(),
        "notes": notes,
        "batch": batch,
        "size": size,
        "rows": rows,
    }


def markdown(report: dict[str, Any]) -> str:
    """Returns the page.

    Args:
        report: as `report` gives it.
    """
    lines = [
        "# Our convolution in other libraries",
        "",
        f"`{report['command']}`",
        "",
        f"{report['machine']}. A training step of ResNet-18, batch {report['batch']} at "
        f"{report['size']} px, float32. Medians of interleaved rounds; the gain is their ratio, "
        "with its 95 % bounds. Haiku's network is its own; Equinox's has group normalization and "
        "is mapped over the batch by `jax.vmap`. " + report["notes"],
        "",
        "| library | lax, ms | lax with the same compiler options, ms | ours, ms | gain | bounds |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for library, row in report["rows"].items():
        ms = row["ms"]
        low, high = row["bounds"]
        lines.append(
            f"| {library} {row['version']} | {ms['lax']:.0f} | {ms['lax, same options']:.0f} | "
            f"{ms['ours']:.0f} | {row['gain']:.2f} | {low:.2f} to {high:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures the libraries that are installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="interleaved rounds")
    parser.add_argument("--batch", type=int, default=8, help="images a step")
    parser.add_argument("--size", type=int, default=64, help="their height and width")
    parser.add_argument("--out", type=Path, help="path of the page and the JSON, without an ending")
    parser.add_argument("--notes", default="", help="a sentence about the machine")
    flags = parser.parse_args()
    missing = [name for name in LIBRARIES.values() if importlib.util.find_spec(name) is None]
    if missing:
        parser.error(f"{missing[0]} is not installed; pip install 'cnnjax[drop-in]'")
    found = report(flags.repeats, flags.batch, flags.size, tuple(LIBRARIES), flags.notes)
    if flags.out is not None:
        write_json(flags.out.with_suffix(".json"), found)
        write_text(flags.out.with_suffix(".md"), markdown(found))


if __name__ == "__main__":
    main()
