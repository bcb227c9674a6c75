"""Times how long a training step and the initialization of the classic networks take to compile.

    python -m scripts.benchmarks.compile_time [--only REGEX] [--repeats 2] [--out PATH]

A step is compiled as training compiles it ("ours") and with lax's own convolutions and derivatives
("native"), the initialization as a run compiles it. Tracing counts. Each compilation is done in a
process of its own, so that none finds what another has traced, and the ways take turns. Writes
OUT.json and OUT.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pathlib
import re
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from cnnjax import compiler, models, nn, writing
from cnnjax.ops.conv import onednn
from scripts.benchmarks.cases.whole_nets import NETS, WholeNet
from scripts.benchmarks.jax_step import make_step
from scripts.benchmarks.machine import describe
from scripts.benchmarks.timing import geometric_mean


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark, prints a line for each network and writes the results.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="a regular expression over the networks")
    parser.add_argument("--repeats", type=int, default=2, help="the fastest counts")
    parser.add_argument("--out", type=pathlib.Path, default=None)
    flags = parser.parse_args(argv)
    rows = []
    for net in NETS:
        if re.search(flags.only, net.label):
            row = {"net": net.label, **measure(net, flags.repeats)}
            rows.append(row)
            print(_line(row), flush=True)
    if flags.out is not None:
        command = f"python -m scripts.benchmarks.compile_time --repeats {flags.repeats}"
        command += f" --only '{flags.only}'" if flags.only else ""
        report = {"command": command, "machine": describe(), "rows": rows}
        writing.write_json(flags.out.with_suffix(".json"), report)
        writing.write_text(flags.out.with_suffix(".md"), page(report))


def measure(net: WholeNet, repeats: int) -> dict[str, dict[str, float]]:
    """Returns seconds of wall time and of CPU of each way; those of the fastest repetition.

    Args:
        net: the network.
        repeats: compilations of each way.
    """
    context = multiprocessing.get_context("spawn")
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            with context.Pool(1) as pool:
                found[way].append(pool.apply(compile_once, (net, way)))
    fastest = {way: min(seconds) for way, seconds in found.items()}
    return {way: {"wall_s": wall, "cpu_s": cpu} for way, (wall, cpu) in fastest.items()}


def compile_once(net: WholeNet, way: str) -> tuple[float, float]:
    """Returns seconds of wall time and of CPU that one compilation takes.

    Args:
        net: the network.
        way: one of `WAYS`.
    """
    backward = "native" if way == "native" else "ours"
    model = models.create_model(net.model, backward=backward, **net.overrides)
    # Whether oneDNN is there is asked once in a process, by a compilation.
    onednn.is_there()
    work = WAYS[way](net, model)
    start, before = time.perf_counter(), _cpu_seconds()
    work()
    return time.perf_counter() - start, _cpu_seconds() - before


def _initialization(net: WholeNet, model: Any) -> Callable[[], object]:
    images = jnp.zeros((1, *net.image))
    init = compiler.jit(lambda key: nn.init_network(model, key, images), runs_once=True)
    return lambda: jax.block_until_ready(init(jax.random.key(0)))


def _step(net: WholeNet, model: Any) -> Callable[[], object]:
    step, given = _step_and_shapes(net, model)
    return lambda: onednn.compiled(step, *given, donate_argnums=0)


def _native_step(net: WholeNet, model: Any) -> Callable[[], object]:
    step, given = _step_and_shapes(net, model)
    return lambda: jax.jit(step, donate_argnums=0).lower(*given).compile()


WAYS: dict[str, Callable[[WholeNet, Any], Callable[[], object]]] = {
    "ours": _step,
    "native": _native_step,
    "init": _initialization,
}
"""What is compiled, by name."""


def _step_and_shapes(net: WholeNet, model: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    images = jax.ShapeDtypeStruct((net.batch, *net.image), jnp.float32)
    labels = jax.ShapeDtypeStruct((net.batch,), jnp.int32)
    optimizer = optax.sgd(1e-3, momentum=0.9)

    def state(key: jax.Array, images: jax.Array) -> Any:
        collections = dict(nn.init_network(model, key, images))
        params = collections.pop("params")
        return params, collections, optimizer.init(params)

    shapes = jax.eval_shape(state, jax.random.key(0), images)
    return make_step(net, model, optimizer), (shapes, images, labels)


def _cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system


def page(report: dict[str, Any]) -> str:
    """Returns the results as a page in Markdown.

    Args:
        report: what is written as JSON.
    """
    rows = report["rows"]
    lines = [
        "# Compile time",
        "",
        f"`{report['command']}`",
        "",
        f"{report['machine']}. Seconds of wall time, in brackets of CPU, to trace and compile a "
        'training step: "ours" as training does, "native" with lax\'s own convolutions and '
        "derivatives; and to initialize a network, which is compiled and runs once.",
        "",
        "| network | step, ours | step, native | ours / native | initialization |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = [_cell(row[way]) for way in WAYS]
        lines.append(f"| {row['net']} | {cells[0]} | {cells[1]} | {_ratio(row):.2f} | {cells[2]} |")
    mean = geometric_mean([_ratio(row) for row in rows])
    return "\n".join([*lines, "", f"Ours over native, geometric mean: {mean:.2f}.", ""])


def _cell(found: dict[str, float]) -> str:
    return f"{found['wall_s']:.1f} ({found['cpu_s']:.1f})"


def _ratio(row: dict[str, Any]) -> float:
    return row["ours"]["wall_s"] / row["native"]["wall_s"]


def _line(row: dict[str, Any]) -> str:
    cells = "  ".join(f"{way} {_cell(row[way])}" for way in WAYS)
    return f"{row['net']:<24} {cells}  ours / native {_ratio(row):.2f}"


if __name__ == "__main__":
    main()
