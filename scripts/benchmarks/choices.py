"""Times every formulation of convolution on the benchmark's layers, from which `dispatch` chooses.

    python -m scripts.benchmarks.choices [--only REGEX] [--repeats 9] [--out PATH]

All formulations are compiled with the package's compiler options; "lax" is lax's own form without
them. A star marks what `dispatch.choose` picks.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
from functools import partial
from typing import Any

import jax

from cnnjax.compiler import compiler_options
from cnnjax.ops.conv import dispatch
from cnnjax.ops.conv import spec as conv_spec
from scripts.benchmarks.columns import LAYER_WIDTH
from scripts.benchmarks.contestants import normal
from scripts.benchmarks.layers import Conv, all_layers
from scripts.benchmarks.machine import describe
from scripts.benchmarks.timing import interleaved


def main(argv: list[str] | None = None) -> None:
    """Runs the comparison, prints it and writes it to files.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="regular expression over layer names")
    parser.add_argument("--leave_out", default="im2col,fft", help="formulations not to time")
    parser.add_argument("--repeats", type=int, default=9, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=2.0, help="5 rounds suffice after this")
    parser.add_argument("--out", default="", help="path of the results, without suffix")
    flags = parser.parse_args(argv)
    rows = []
    print(f"# {describe()}")
    for layer in all_layers():
        if isinstance(layer, Conv) and not layer.transposed and re.search(flags.only, layer.name):
            for pass_ in dispatch.PASSES:
                row = _measure(layer, pass_, flags)
                rows.append(row)
                print(_line(row), flush=True)
    if flags.out:
        out = pathlib.Path(flags.out)
        command = f"python -m scripts.benchmarks.choices --repeats {flags.repeats}"
        command += f" --only '{flags.only}'" if flags.only else ""
        report = {"command": command, "machine": describe(), "rows": rows}
        out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
        lines = ["# Formulations of each layer, median ms", "", f"`{command}`", "", describe(), ""]
        lines += ["```", *(_line(row) for row in rows), "```", ""]
        out.with_suffix(".md").write_text("\n".join(lines))


def _measure(layer: Conv, pass_: str, flags: argparse.Namespace) -> dict[str, Any]:
    """Returns the median ms of every formulation that has the pass and takes the layer."""
    shape = (layer.kernel, layer.kernel, layer.channels // layer.groups, layer.filters)
    x, k = normal(0, layer.batch, layer.size, layer.size, layer.channels), normal(1, *shape)
    spec = conv_spec.parse(
        "choices",
        x.shape,
        k.shape,
        strides=layer.stride,
        padding=layer.padding,
        dilation=1,
        groups=layer.groups,
    )
    g = normal(2, layer.batch, *spec.output_size(x.shape[1:3], k.shape[:2]), layer.filters)
    static, arrays = {
        "forward": ((), (x, k)),
        "input_grad": ((x.shape[1:3],), (g, k)),
        "kernel_grad": ((k.shape[:2],), (x, g)),
    }[pass_]
    contestants = {"lax": _compiled(dispatch.ALGORITHMS["direct"], pass_, spec, static, arrays, {})}
    for name, module in dispatch.ALGORITHMS.items():
        if name in flags.leave_out.split(",") or not hasattr(module, pass_):
            continue
        if not module.refuses(spec, x.shape, k.shape):
            options = compiler_options()
            contestants[name] = _compiled(module, pass_, spec, static, arrays, options)
    times = interleaved(contestants, flags.repeats, flags.seconds)
    return {
        "layer": layer.name,
        "pass": pass_,
        "chosen": dispatch.choose(pass_, spec, x.shape, k.shape),
        "ms": {name: round(1e3 * times.median(name), 3) for name in contestants},
    }


def _compiled(module, pass_, spec, static, arrays, options):
    function = partial(getattr(module, pass_), spec, *static)
    program = jax.jit(function, compiler_options=options).lower(*arrays).compile()
    return lambda: jax.block_until_ready(program(*arrays))


def _line(row: dict[str, Any]) -> str:
    cells = [
        f"{name}{'*' if name == row['chosen'] else ''} {ms:.2f}" for name, ms in row["ms"].items()
    ]
    return f"{row['layer']:<{LAYER_WIDTH}} {row['pass']:<12} " + "  ".join(cells)


if __name__ == "__main__":
    main()
