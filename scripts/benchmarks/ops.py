"""Times every distinct convolution, pooling and LRN layer of nine networks, pass by pass.

    python -m scripts.benchmarks.ops [--only REGEX] [--repeats 30] [--out docs/results/ops]

Four columns, interleaved in one process: ours; `jax.vjp` of lax without options ("lax"); the same
compiled with the option that keeps XLA's CPU compiler from handing convolutions to YNNPACK
("plain"; the strongest plain baseline is the better of both); and PyTorch where it is installed
(channels_last, same threads). `--random SEED` draws layers in place of those networks'.

Prints a table, writes OUT.json and OUT.md, and draws OUT.png. `--merge` keeps the rows of an
earlier OUT.json that this run does not measure.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from cnnjax import training
from cnnjax.ops.conv import onednn
from scripts.benchmarks import ops_report
from scripts.benchmarks.cases.layers import all_layers
from scripts.benchmarks.cases.random_layers import draw
from scripts.benchmarks.contestants import Pass, passes
from scripts.benchmarks.drop_in.steps import step_times
from scripts.benchmarks.machine import describe, matmul_peak
from scripts.benchmarks.plain_flax import PLAIN_OPTION
from scripts.benchmarks.timing import interleaved


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark, prints its lines and writes the results.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    flags = _flags(argv)
    # As the experiments do, for all contestants alike.
    training.keep_freed_memory()
    with_torch = not flags.no_torch and importlib.util.find_spec("torch") is not None
    if with_torch:
        import torch  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(os.cpu_count() or 1)
        torch.set_grad_enabled(True)
    layers = [
        layer
        for layer in (all_layers() if flags.random is None else draw(flags.random, flags.draws))
        if re.search(flags.only, layer.name) and re.search(flags.family, layer.family)
    ]
    if not layers:
        sys.exit(f"ops: no layer matches --only={flags.only!r} --family={flags.family!r}")
    earlier = _earlier(flags) if flags.merge else {"rows": []}
    report: dict[str, Any] = {
        "command": "python -m scripts.benchmarks.ops"
        f" --repeats {flags.repeats} --seconds {flags.seconds:g}"
        + (f" --only {flags.only!r}" if flags.only else "")
        + (f" --random {flags.random} --draws {flags.draws}" if flags.random is not None else "")
        + (" --drop_in" if flags.drop_in else ""),
        "machine": describe(),
        "notes": flags.notes or earlier.get("notes", ""),
        "matmul_gflops": matmul_peak(PLAIN_OPTION),
        "rows": [],
    }
    print(f"# {report['machine']}\n# matrix-product peak: {report['matmul_gflops']:.0f} GFLOP/s")
    kept = {(row["layer"], row["pass"]): row for row in earlier["rows"]}
    if "drop_in" in earlier:
        report["drop_in"] = earlier["drop_in"]
    for layer in layers:
        for each in passes(layer, with_torch):
            row = {"layer": layer.name, "family": layer.family, "pass": each.name}
            row |= _measure(each, flags.repeats, flags.seconds)
            kept[row["layer"], row["pass"]] = row
            print(ops_report.line(row), flush=True)
    report["rows"] = list(kept.values())
    if flags.drop_in:
        report["drop_in"] = {
            library: {name: round(1e3 * times.median(name), 2) for name in times.rounds}
            for library, times in step_times(repeats=flags.repeats).items()
        }
    print(ops_report.summary(report))
    if flags.out:
        out = pathlib.Path(flags.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
        out.with_suffix(".md").write_text(ops_report.markdown(report))
        ops_report.chart(report, out.with_suffix(".png"))


def _measure(each: Pass, repeats: int, seconds: float) -> dict[str, Any]:
    """Returns times in ms, temporary memory in MB, and the bounds of the ratio for one pass."""
    compiled = {"ours": onednn.compiled(each.ours, *each.arrays)}
    for name, options in (("lax", {}), ("plain", PLAIN_OPTION)):
        jitted = jax.jit(each.lax, compiler_options=options)
        compiled[name] = jitted.lower(*each.arrays).compile()
    _check(each, compiled)
    contestants: dict[str, Callable[[], object]] = {
        name: _blocking(program, each.arrays) for name, program in compiled.items()
    }
    if each.torch is not None:
        contestants["torch"] = each.torch
    times = interleaved(contestants, repeats, seconds)
    return {
        "ms": {name: round(1e3 * times.median(name), 4) for name in contestants},
        "rounds": len(times.rounds["ours"]),
        "bounds": [round(bound, 3) for bound in times.ratio_bounds("lax", "ours")],
        "same_program": _program(each.ours, each) == _program(each.lax, each),
        "temp_mb": {
            name: round(_temporary_bytes(program) / 1e6, 2) for name, program in compiled.items()
        },
        "gflops": round(2e-6 * each.multiply_adds / (1e3 * times.median("ours")), 2),
    }


def _temporary_bytes(program: jax.stages.Compiled) -> int:
    analysis = program.memory_analysis()
    return analysis.temp_size_in_bytes if analysis else 0


def _blocking(program: Callable, arrays: tuple) -> Callable[[], object]:
    return lambda: jax.block_until_ready(program(*arrays))


def _check(each: Pass, compiled: dict[str, Callable]) -> None:
    """Raises an error where ours and lax's differ by more than float32 rounding."""
    ours, lax_ = compiled["ours"](*each.arrays), compiled["plain"](*each.arrays)
    scale = float(jnp.max(jnp.abs(lax_)))
    error = float(jnp.max(jnp.abs(ours - lax_)))
    # Not `error > …`, which is false for NaN.
    if not error <= 1e-3 * scale:
        raise AssertionError(f"{each.name}: ours differs from lax's by {error} of {scale}")


def _program(function: Callable, each: Pass) -> list[str]:
    """Returns the lowered program's operations without names and source positions."""
    text = jax.jit(function).lower(*each.arrays).as_text()
    # Two programs are the same if they do the same, whatever their values are called.
    lines = [line for line in text.splitlines() if "stablehlo" in line]
    return [re.sub(r"%[\w#:]+", "%", line).strip() for line in lines]


def _earlier(flags: argparse.Namespace) -> dict[str, Any]:
    path = pathlib.Path(flags.out).with_suffix(".json")
    return json.loads(path.read_text()) if path.exists() else {"rows": []}


def _flags(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="regular expression over layer names")
    parser.add_argument("--family", default="", help="regular expression over classes of layers")
    parser.add_argument("--random", type=int, help="seed of drawn layers")
    parser.add_argument("--draws", type=int, default=48, help="layers drawn by --random")
    parser.add_argument("--repeats", type=int, default=30, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=10.0, help="5 rounds suffice after this")
    parser.add_argument("--out", default="", help="path of the results, without suffix")
    parser.add_argument("--merge", action="store_true", help="keep earlier rows of OUT.json")
    parser.add_argument("--drop_in", action="store_true", help="time ResNet-18 in flax as well")
    parser.add_argument("--notes", default="", help="what a reader of the results should know")
    parser.add_argument("--no_torch", action="store_true", help="leave PyTorch out")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
