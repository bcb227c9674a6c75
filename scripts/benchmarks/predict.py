"""Times predictions (the forward pass in evaluation mode) of the benchmark's networks, five ways.

    python -m scripts.benchmarks.predict [--only REGEX] [--batches 1 8 64] [--out OUT]

cnnjax as `evaluate` compiles it; the same with batch norm folded into convolutions
(`inference.folded`); `backward="native"` and plain flax.linen layers by `jax.jit` as it comes; and
PyTorch eager in `inference_mode`, channels_last. All have the same weights and must give the same
logits, or the row is not printed. Runs are interleaved in one process.

Writes OUT.json and OUT.md; `--merge` keeps the rows of an earlier OUT.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import importlib.util
import json
import os
import pathlib
import re
import sys
from typing import Any

import jax
import numpy as np

from cnnjax import training
from scripts.benchmarks.cases.whole_nets import NETS, WholeNet
from scripts.benchmarks.columns import NETWORK_WIDTH, times_over_ours
from scripts.benchmarks.machine import describe
from scripts.benchmarks.predict_contestants import COLUMNS, predictors
from scripts.benchmarks.step_contestants import torch_device
from scripts.benchmarks.timing import geometric_mean, interleaved

TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2}
"""The most by which logits may differ, relative to the largest one."""

Row = dict[str, Any]


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark, prints its lines and writes the results.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    flags = _flags(argv)
    training.keep_freed_memory()
    with_torch = not flags.no_torch and importlib.util.find_spec("torch") is not None
    if with_torch:
        from scripts.benchmarks.pytorch.step import set_up

        set_up(torch_device(), os.cpu_count() or 1, tf32=False)
    if jax.default_backend() == "gpu":
        jax.config.update("jax_default_matmul_precision", "float32")
    nets = [net for net in NETS if re.search(flags.only, net.label)]
    if not nets:
        names = ", ".join(net.label for net in NETS)
        sys.exit(f"predict: no network matches --only={flags.only!r}; there are {names}")
    report = _started(flags)
    print(f"# {report['machine']}")
    for net in nets:
        for batch in flags.batches:
            row = _measured(dataclasses.replace(net, batch=batch), flags, with_torch)
            if row is None:
                continue
            others = [r for r in report["rows"] if (r["net"], r["batch"]) != (net.label, batch)]
            report["rows"] = [*others, row]
            print(_line(row), flush=True)
            # After each row: an interrupted run keeps what it has.
            _write(report, flags.out)
    if report["rows"]:
        print(summary(report["rows"]))


def _measured(net: WholeNet, flags: argparse.Namespace, with_torch: bool) -> Row | None:
    """Returns a network's row for a batch, or None where the logits differ."""
    gc.collect()
    ways = predictors(net, tuple(flags.columns.split("|")), flags.dtype, with_torch)
    logits = {name: way.run() for name, way in ways.items()}
    first = next(iter(logits.values()))
    for name, values in logits.items():
        difference = float(np.abs(values - first).max() / np.abs(first).max())
        if not difference <= TOLERANCE[flags.dtype]:
            print(f"{net.label}: not measured, the logits of {name} differ by {difference:.2g}")
            return None
    times = interleaved({n: way.run for n, way in ways.items()}, flags.repeats, flags.seconds)
    quarters = {n: np.percentile(t, [25, 75]) for n, t in times.rounds.items()}
    return {
        "net": net.label,
        "batch": net.batch,
        "rounds": len(next(iter(times.rounds.values()))),
        "ms": {n: round(1e3 * times.median(n), 3) for n in ways},
        "quartiles_ms": {n: [round(1e3 * float(v), 3) for v in q] for n, q in quarters.items()},
        "compile_s": {
            n: round(w.compile_seconds, 1) for n, w in ways.items() if w.compile_seconds is not None
        },
    }


def summary(rows: list[Row]) -> str:
    """Returns the geometric means over the networks of each batch, as a Markdown table.

    Args:
        rows: of the networks and batches.
    """
    lines = ["| batch | flax / ours | native / ours | folded / ours | ours / PyTorch |"]
    lines.append("|--:|--:|--:|--:|--:|")
    for batch in sorted({row["batch"] for row in rows}):
        of_batch = [row["ms"] for row in rows if row["batch"] == batch]
        means = [
            geometric_mean([ms[over] / ms[under] for ms in of_batch if {over, under} <= ms.keys()])
            for over, under in (
                ("flax", "ours"), ("native", "ours"), ("folded", "ours"), ("ours", "torch"),
            )
        ]  # fmt: skip
        cells = [f"{mean:.2f}" if np.isfinite(mean) else "" for mean in means]
        lines.append(f"| {batch} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(report: Row) -> str:
    """Returns the whole report as Markdown: command, machine, means and every row.

    Args:
        report: all results, as in OUT.json.
    """
    rows = sorted(report["rows"], key=lambda row: row["batch"])
    columns = [name for name in COLUMNS if any(name in row["ms"] for row in rows)]
    lines = [
        "# Predictions",
        "",
        f"`{report['command']}`",
        "",
        f"{report['machine']}. The forward pass in evaluation mode, {report['dtype']}; all give "
        "the same logits. Median ms of interleaved rounds, with quartiles.",
        "",
        *([report["notes"], ""] if report["notes"] else []),
        summary(rows),
        "",
        "| network, batch | " + " | ".join(columns) + " | images/s |",
        "|---|" + "--:|" * (len(columns) + 1),
    ]
    for row in rows:
        cells = []
        for name in columns:
            low, high = row["quartiles_ms"].get(name, (0, 0))
            cells.append(f"{row['ms'][name]:.2f} ({low:.2f} to {high:.2f})" if high else "")
        rate = row["batch"] / row["ms"]["ours"] * 1e3
        lines.append(f"| {row['net']}, {row['batch']} | " + " | ".join(cells) + f" | {rate:.1f} |")
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    ms = row["ms"]
    name = f"{row['net']}, {row['batch']}"
    cells = [f"{name:<{NETWORK_WIDTH + 4}}", f"ours {ms['ours']:9.2f} ms"]
    return "  ".join(cells + times_over_ours(ms, COLUMNS[1:], decimals=2))


def _started(flags: argparse.Namespace) -> Row:
    """Returns the report before the first row, with those of an earlier run where asked."""
    report: Row = {
        "command": "python -m scripts.benchmarks.predict"
        f" --repeats {flags.repeats} --seconds {flags.seconds:g}"
        f" --batches {' '.join(map(str, flags.batches))}"
        + (f" --only '{flags.only}'" if flags.only else "")
        + (f" --dtype {flags.dtype}" if flags.dtype != "float32" else ""),
        "machine": describe(),
        "dtype": flags.dtype,
        "notes": flags.notes,
        "rows": [],
    }
    path = pathlib.Path(f"{flags.out}.json")
    if flags.merge and path.exists():
        before = json.loads(path.read_text())
        if before["dtype"] != flags.dtype:
            sys.exit(
                f"predict: --merge: the rows of {path} were computed in {before['dtype']}, these "
                f"are in {flags.dtype}; give another --out"
            )
        report |= {"rows": before["rows"], "notes": flags.notes or before["notes"]}
    return report


def _write(report: Row, out: str) -> None:
    if not out:
        return
    path = pathlib.Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(report))


def _flags(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="regular expression over networks")
    parser.add_argument("--columns", default="|".join(COLUMNS), help="ways to time, by |")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64], help="images at once")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=30, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=30.0, help="5 rounds suffice after this")
    parser.add_argument("--out", default="", help="path of the results, without suffix")
    parser.add_argument("--merge", action="store_true", help="keep earlier rows of OUT.json")
    parser.add_argument("--notes", default="", help="what a reader of the results should know")
    parser.add_argument("--no_torch", action="store_true", help="leave PyTorch out")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
