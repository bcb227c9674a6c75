"""Times every formulation of convolution on the benchmark's layers, from which `dispatch` chooses.

    python -m scripts.benchmarks.choices [--only REGEX] [--repeats 9] [--out PATH]
    python -m scripts.benchmarks.choices --only 'resnext50|mobilenet' --dtype bfloat16 --batch 128 \
        --torch --calls 20

All formulations are compiled with the package's compiler options; where there are any, "lax" is
lax's own form without them. Where XLA can call oneDNN, each is compiled with such calls as well. A
star marks what `dispatch.choose` picks, with calls and without. With `--torch`, PyTorch is
timed too, and the error of each result is its distance from PyTorch's in float64, relative to the
norm. On a GPU both may compute float32 products in TF32.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from cnnjax.ops.conv import dispatch
from scripts.benchmarks import formulations
from scripts.benchmarks.cases.layers import Conv, all_layers
from scripts.benchmarks.columns import LAYER_WIDTH
from scripts.benchmarks.formulations import ConvPass
from scripts.benchmarks.machine import describe
from scripts.benchmarks.timing import interleaved


def main(argv: list[str] | None = None) -> None:
    """Runs the comparison, prints it and writes it to files.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    flags = _flags(argv)
    layers = [
        dataclasses.replace(layer, batch=flags.batch or layer.batch)
        for layer in all_layers()
        if isinstance(layer, Conv) and not layer.transposed and re.search(flags.only, layer.name)
    ]
    if not layers:
        sys.exit(f"choices: no convolution matches --only={flags.only!r}; see layers.py")
    if flags.torch:
        # JAX would take three quarters of a GPU's memory when it first uses it.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        from scripts.benchmarks.pytorch.step import set_up
        from scripts.benchmarks.step_contestants import torch_device

        set_up(torch_device(), os.cpu_count() or 1, tf32=True)
    rows = []
    print(f"# {describe()}")
    for layer in layers:
        found = _measure(layer, flags)
        rows += found
        print("\n".join(map(_line, found)), flush=True)
        # After each layer: an interrupted run keeps its rows.
        _write(rows, flags)


def _measure(layer: Conv, flags: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns a row for each pass: the median ms of every formulation that takes the layer."""
    passes = [ConvPass(layer, name, flags.dtype) for name in dispatch.PASSES]
    programs = formulations.compile_all(passes, flags.leave_out.split(","))
    return [_row(*pair, flags) for pair in zip(passes, programs, strict=True)]


def _row(
    each: ConvPass, programs: dict[str, jax.stages.Compiled | str], flags: argparse.Namespace
) -> dict[str, Any]:
    arrays = jax.block_until_ready(each.arrays())
    contestants: dict[str, Callable[[], Any]] = {}
    failed: dict[str, str] = {}
    errors: dict[str, float] = {}
    exact = None
    if flags.torch:
        call, wait = formulations.torch_pass(each, arrays, "float64")
        exact = formulations.as_numpy(each, wait(call()))
    for name, program in programs.items():
        if isinstance(program, str):
            failed[name] = program
            continue
        try:
            result = jax.block_until_ready(program(*arrays))
        except jax.errors.JaxRuntimeError as error:
            failed[name] = str(error).partition("\n")[0]
            continue
        if exact is not None:
            errors[name] = formulations.relative_error(result, exact)
        contestants[name] = formulations.in_a_row(
            partial(program, *arrays), jax.block_until_ready, flags.calls
        )
    if exact is not None:
        call, wait = formulations.torch_pass(each, arrays)
        found = formulations.as_numpy(each, wait(call()))
        errors["torch"] = formulations.relative_error(found, exact)
        contestants["torch"] = formulations.in_a_row(call, wait, flags.calls)
    times = interleaved(contestants, flags.repeats, flags.seconds)
    ms = {name: round(1e3 * times.median(name) / flags.calls, 4) for name in contestants}
    return {
        "layer": each.layer.name,
        "batch": each.layer.batch,
        "pass": each.name,
        "chosen": each.chosen(jax.default_backend()),
        "ms": ms,
        **({"errors": {name: float(f"{v:.2e}") for name, v in errors.items()}} if errors else {}),
        **({"failed": failed} if failed else {}),
    }


def _line(row: dict[str, Any]) -> str:
    digits = 2 if min(row["ms"].values(), default=1) > 0.5 else 3
    cells = [
        f"{name}{'*' if name in row['chosen'] else ''} {ms:.{digits}f}"
        for name, ms in row["ms"].items()
    ]
    if worst := max(row.get("errors", {}).values(), default=0.0):
        cells.append(f"largest error {worst:.0e}")
    cells += [f"{name}: {why}" for name, why in row.get("failed", {}).items()]
    return f"{row['layer']:<{LAYER_WIDTH}} {row['pass']:<12} " + "  ".join(cells)


def _write(rows: list[dict[str, Any]], flags: argparse.Namespace) -> None:
    if not flags.out:
        return
    out = pathlib.Path(flags.out)
    command = f"python -m scripts.benchmarks.choices --repeats {flags.repeats}"
    command += f" --only '{flags.only}'" if flags.only else ""
    command += f" --dtype {flags.dtype}" if flags.dtype != "float32" else ""
    command += f" --batch {flags.batch}" if flags.batch else ""
    command += " --torch" if flags.torch else ""
    command += f" --calls {flags.calls}" if flags.calls > 1 else ""
    report = {"command": command, "machine": describe(), "dtype": flags.dtype, "rows": rows}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    batch = f" Batches of {flags.batch}, {flags.dtype}." if flags.batch else f" {flags.dtype}."
    lines = ["# Formulations of each layer, median ms", "", f"`{command}`", "", describe() + "."]
    lines[-1] += batch
    lines += ["", "```", *map(_line, rows), "```", ""]
    out.with_suffix(".md").write_text("\n".join(lines))


def _flags(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="regular expression over layer names")
    parser.add_argument("--leave_out", default="im2col,fft", help="formulations not to time")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--batch", type=int, default=0, help="images; the layer's own if 0")
    parser.add_argument("--torch", action="store_true", help="time PyTorch, and measure errors")
    parser.add_argument("--calls", type=int, default=1, help="calls in a row that are timed as one")
    parser.add_argument("--repeats", type=int, default=9, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=2.0, help="5 rounds suffice after this")
    parser.add_argument("--out", default="", help="path of the results, without suffix")
    flags = parser.parse_args(argv)
    unknown = set(flags.leave_out.split(",")) - {"", *dispatch.ALGORITHMS}
    if unknown:
        known = ", ".join(dispatch.ALGORITHMS)
        parser.error(f"--leave_out: {', '.join(sorted(unknown))}: there are {known}")
    if flags.batch < 0 or flags.calls < 1 or flags.repeats < 1:
        parser.error("--batch must be 0 or more, --calls and --repeats 1 or more")
    if flags.torch and importlib.util.find_spec("torch") is None:
        parser.error("--torch: PyTorch is not installed")
    return flags


if __name__ == "__main__":
    main()
