"""Times whole training steps (forward, backward, update) of the classic networks, five ways.

    python -m scripts.benchmarks.steps [--only REGEX] [--repeats 15] [--out docs/results/steps]

cnnjax; the same model with `backward="native"` (lax and autodiff) as it comes; the same compiled
with the option that keeps XLA's CPU compiler from handing convolutions to YNNPACK; plain flax.linen
layers; and PyTorch eager, channels_last, where it is installed. All hold the same weights and must
give the same losses for five steps, or the row is not printed. Runs are interleaved in one process.
Writes OUT.json and OUT.md and draws OUT.png; `--merge` keeps the rows of an earlier OUT.json.
`--profile` adds a table of where our step's time goes, layer by layer.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import pathlib
import re
import sys
from typing import Any

import numpy as np

from scripts.benchmarks import step_profile, steps_report
from scripts.benchmarks.machine import describe
from scripts.benchmarks.step_contestants import COLUMNS, contestants
from scripts.benchmarks.timing import interleaved
from scripts.benchmarks.whole_nets import NETS, WholeNet

STEPS = 5
TOLERANCE = 1e-3
"""Relative: float32 sums in another order drift apart by this much over five steps at most."""


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark."""
    flags = _flags(argv)
    with_torch = not flags.no_torch and importlib.util.find_spec("torch") is not None
    if with_torch:
        import torch  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(os.cpu_count() or 1)
    nets = [net for net in NETS if re.search(flags.only, net.label)]
    if not nets:
        names = ", ".join(net.label for net in NETS)
        sys.exit(f"steps: no network matches --only={flags.only!r}; there are {names}")
    report: dict[str, Any] = {
        "command": f"python -m scripts.benchmarks.steps --repeats {flags.repeats}",
        "machine": describe(),
        "rows": _earlier(flags),
    }
    print(f"# {report['machine']}")
    for net in nets:
        row = measure(net, flags, with_torch)
        if row is None:
            continue
        report["rows"] = [r for r in report["rows"] if r["net"] != net.label] + [row]
        print(steps_report.line(row), flush=True)
        _write(report, flags.out)
    if report["rows"]:
        print(steps_report.summary(report))


def measure(net: WholeNet, flags: argparse.Namespace, with_torch: bool) -> dict[str, Any] | None:
    """Returns a network's row, or None where the losses differ."""
    gc.collect()
    ways = contestants(net, with_torch, tuple(flags.columns.split("|")))
    losses = {name: [way.step() for _ in range(STEPS)] for name, way in ways.items()}
    first = np.array(next(iter(losses.values())))
    for name, values in losses.items():
        if not np.allclose(values, first, rtol=TOLERANCE):
            print(f"{net.label}: not measured, the losses of {name} differ: {losses}", flush=True)
            return None
    times = interleaved({n: way.step for n, way in ways.items()}, flags.repeats, flags.seconds)
    quarters = {n: np.percentile(t, [25, 75]) for n, t in times.rounds.items()}
    row: dict[str, Any] = {
        "net": net.label,
        "batch": net.batch,
        "rounds": len(next(iter(times.rounds.values()))),
        "ms": {n: round(1e3 * times.median(n), 2) for n in ways},
        "quartiles_ms": {n: [round(1e3 * float(v), 2) for v in q] for n, q in quarters.items()},
        "temp_mb": {n: round(w.temp_mb, 1) for n, w in ways.items() if w.temp_mb is not None},
        "compile_s": {
            n: round(w.compile_seconds, 1) for n, w in ways.items() if w.compile_seconds is not None
        },
        "losses": [round(float(v), 5) for v in first],
    }
    if flags.profile:
        row["profile"] = step_profile.by_layer(ways["ours"])
    return row


def _earlier(flags: argparse.Namespace) -> list[dict[str, Any]]:
    path = pathlib.Path(f"{flags.out}.json")
    return json.loads(path.read_text())["rows"] if flags.merge and path.exists() else []


def _write(report: dict[str, Any], out: str) -> None:
    if not out:
        return
    path = pathlib.Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(steps_report.markdown(report))
    steps_report.chart(report, path.with_suffix(".png"))


def _flags(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="regular expression over networks")
    parser.add_argument("--columns", default="|".join(COLUMNS), help="ways to time, by |")
    parser.add_argument("--repeats", type=int, default=15, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=60.0, help="5 rounds suffice after this")
    parser.add_argument("--out", default="", help="path of the results, without suffix")
    parser.add_argument("--merge", action="store_true", help="keep earlier rows of OUT.json")
    parser.add_argument("--no_torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--profile", action="store_true", help="tell where our time goes by layer")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
