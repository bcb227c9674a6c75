"""Times whole training steps (forward, backward, update) of the classic networks, five ways.

    python -m scripts.benchmarks.steps [--only REGEX] [--repeats 15] [--out docs/results/steps]
    python -m scripts.benchmarks.steps --dtype bfloat16 --out docs/results/steps_gpu_bfloat16
    python -m scripts.benchmarks.steps --alone --random 0 --draws 22 --out docs/results/steps_random

cnnjax; the same model with `backward="native"` (lax and autodiff) without options; the same with
the option that keeps XLA's CPU compiler from handing convolutions to YNNPACK; plain flax.linen
layers; and PyTorch eager, channels_last, where it is installed. All hold the same weights and must
give the same losses for five steps, or the row is not printed. Runs are interleaved in one process.

On a GPU the batches are larger, the CPU compiler's option is left out, and PyTorch runs both eager
and by `torch.compile`. `--dtype bfloat16` makes the networks compute in it (PyTorch: autocast),
with float32 parameters. On a GPU, all contestants may compute float32 products in TF32; with
`--no_tf32`, none may.

Writes OUT.json and OUT.md and draws OUT.png; `--merge` keeps the rows of an earlier OUT.json.
`--profile` adds a table of where our step's time goes, layer by layer.
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
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from cnnjax import training
from scripts.benchmarks import step_profile, steps_report
from scripts.benchmarks.alone import Process, in_turn, processes
from scripts.benchmarks.cases.random_nets import draw
from scripts.benchmarks.cases.whole_nets import NETS, WholeNet
from scripts.benchmarks.machine import describe
from scripts.benchmarks.step_contestants import (
    Contestant,
    alone,
    contestants,
    default_columns,
    torch_device,
)
from scripts.benchmarks.timing import Times, interleaved

STEPS = 5
TOLERANCE = {"float32": 1e-3, "tf32": 1e-2, "bfloat16": 3e-2}
"""Relative: the most by which losses differ after five steps with sums in another order. TF32 and
bfloat16 have 10 and 7 bits behind the point."""


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark, prints its lines and writes the results.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    flags = _flags(argv)
    # As the experiments do, for all contestants alike.
    training.keep_freed_memory()
    with_torch = not flags.no_torch and importlib.util.find_spec("torch") is not None
    if with_torch and "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ:
        # JAX would take three quarters of a GPU's memory when it first uses it.
        os.environ.setdefault("XLA_CLIENT_MEM_FRACTION", "0.45")
    platform = jax.default_backend()
    defaults = "|".join(default_columns(platform))
    flags.columns = flags.columns or defaults
    if platform == "gpu" and flags.no_tf32:
        jax.config.update("jax_default_matmul_precision", "float32")
    if with_torch:
        from scripts.benchmarks.pytorch.step import set_up

        try:
            set_up(torch_device(), os.cpu_count() or 1, not flags.no_tf32)
        except RuntimeError as error:
            sys.exit(f"steps: {error}")
    drawn = NETS if flags.random is None else draw(flags.random, flags.draws)
    nets = [net for net in drawn if re.search(flags.only, net.label)]
    if not nets:
        names = ", ".join(net.label for net in drawn)
        sys.exit(f"steps: no network matches --only={flags.only!r}; there are {names}")
    report: dict[str, Any] = {
        "command": "python -m scripts.benchmarks.steps"
        + (f" --only '{flags.only}'" if flags.only else "")
        + (f" --columns '{flags.columns}'" if flags.columns != defaults else "")
        + f" --repeats {flags.repeats} --seconds {flags.seconds:g}"
        + (" --profile" if flags.profile else "")
        + (f" --dtype {flags.dtype}" if flags.dtype != "float32" else "")
        + (" --no_tf32" if flags.no_tf32 else "")
        + (f" --batch {flags.batch}" if flags.batch else "")
        + (f" --random {flags.random} --draws {flags.draws}" if flags.random is not None else "")
        + (" --alone" if flags.alone else ""),
        "machine": describe(),
        "arithmetic": _arithmetic(flags),
        "alone": flags.alone,
        **_earlier(flags),
    }
    print(f"# {report['machine']}")
    for net in nets:
        row = measure(_sized(net, platform, flags.batch), flags, with_torch)
        if row is None:
            continue
        report["rows"] = [r for r in report["rows"] if r["net"] != net.label] + [row]
        print(steps_report.line(row), flush=True)
        # After each network: an interrupted run keeps its rows.
        _write(report, flags.out)
    if report["rows"]:
        print(steps_report.summary(report))


def measure(net: WholeNet, flags: argparse.Namespace, with_torch: bool) -> dict[str, Any] | None:
    """Returns a network's row, or None where the losses differ.

    Args:
        net: the network and its batch.
        flags: what to measure.
        with_torch: whether PyTorch is installed and takes part.
    """
    # The arrays of the network before take memory until they are collected.
    gc.collect()
    columns = tuple(flags.columns.split("|"))
    if flags.alone:
        columns = tuple(name for name in columns if with_torch or not name.startswith("torch"))
        arguments = {name: (net, name, flags.dtype, not flags.no_tf32) for name in columns}
        with processes(arguments, alone) as ways:
            return _row(net, ways, flags, lambda: in_turn(ways, flags.repeats, flags.seconds))
    ways = contestants(net, with_torch, columns, flags.dtype)
    steps = {name: way.step for name, way in ways.items()}
    row = _row(net, ways, flags, lambda: interleaved(steps, flags.repeats, flags.seconds))
    if row is not None and flags.profile:
        row["profile"] = step_profile.by_layer(ways["ours"])
    return row


def _row(
    net: WholeNet,
    ways: Mapping[str, Contestant | Process],
    flags: argparse.Namespace,
    timed: Callable[[], Times],
) -> dict[str, Any] | None:
    """Returns the times of contestants whose losses agree, or None where they differ."""
    losses = {name: [way.step() for _ in range(STEPS)] for name, way in ways.items()}
    first = np.array(next(iter(losses.values())))
    for name, values in losses.items():
        if not np.allclose(values, first, rtol=TOLERANCE[_arithmetic(flags)]):
            print(f"{net.label}: not measured, the losses of {name} differ: {losses}", flush=True)
            return None
    times = timed()
    quarters = {n: np.percentile(t, [25, 75]) for n, t in times.rounds.items()}
    return {
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


def _sized(net: WholeNet, platform: str, batch: int) -> WholeNet:
    """Returns the network with the batch size of the flags, or the platform's."""
    of_platform = net.batch if platform == "cpu" else net.large_batch or net.batch
    return dataclasses.replace(net, batch=batch or of_platform)


def _arithmetic(flags: argparse.Namespace) -> str:
    """Returns "float32", "tf32" or "bfloat16"."""
    tf32 = flags.dtype == "float32" and jax.default_backend() == "gpu" and not flags.no_tf32
    return "tf32" if tf32 else flags.dtype


def _earlier(flags: argparse.Namespace) -> dict[str, Any]:
    """Returns the rows and notes to start with."""
    path = pathlib.Path(f"{flags.out}.json")
    if not (flags.merge and path.exists()):
        return {"notes": flags.notes, "rows": []}
    report = json.loads(path.read_text())
    before = report.get("arithmetic", "float32")
    if before != _arithmetic(flags):
        sys.exit(
            f"steps: --merge: the rows of {path} were computed in {before}, these are in "
            f"{_arithmetic(flags)}; give another --out"
        )
    return {"notes": flags.notes or report.get("notes", ""), "rows": report["rows"]}


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
    parser.add_argument("--columns", default="", help="ways to time, by |; the platform's if empty")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--no_tf32", action="store_true", help="float32 products in full, on a GPU")
    parser.add_argument("--batch", type=int, default=0, help="images a step; the network's if 0")
    parser.add_argument("--alone", action="store_true", help="a process for each way, in turn")
    parser.add_argument("--random", type=int, help="seed of drawn networks, sizes and batches")
    parser.add_argument("--draws", type=int, default=11, help="networks drawn by --random")
    parser.add_argument("--repeats", type=int, default=15, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=60.0, help="5 rounds suffice after this")
    parser.add_argument("--out", default="", help="path of the results, without suffix")
    parser.add_argument("--merge", action="store_true", help="keep earlier rows of OUT.json")
    parser.add_argument("--notes", default="", help="what a reader of the results should know")
    parser.add_argument("--no_torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--profile", action="store_true", help="add our time by layer")
    flags = parser.parse_args(argv)
    if flags.alone and flags.profile:
        sys.exit("steps: --profile traces a step in this process; leave out --alone")
    if flags.draws < 1:
        sys.exit(f"steps: --draws must be at least 1, got {flags.draws}")
    return flags


if __name__ == "__main__":
    main()
