"""Times the forms of pooling on this device: those that run on CPU, lax's, and PyTorch.

    python -m scripts.benchmarks.pool_forms [--only REGEX] [--dtype bfloat16] [--out PATH]

Forward and backward pass of each pooling of the benchmark's networks, and of LRN, in one program.
"own" are the forms that the package has for CPUs; "own, fused" leaves it to the compiler to compute
a maximum's choice again, in place of keeping it in memory; "lax" is lax's autodiff. On an
accelerator the package runs lax's forms, until a measurement says otherwise.
"""

from __future__ import annotations

import argparse
import concurrent.futures
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
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import ops
from cnnjax.ops.platforms import for_cpu_alone
from cnnjax.ops.pool import max_pool
from scripts.benchmarks.cases.layers import Pool, all_layers
from scripts.benchmarks.columns import LAYER_WIDTH
from scripts.benchmarks.formulations import in_a_row, relative_error
from scripts.benchmarks.machine import describe
from scripts.benchmarks.timing import interleaved

LARGE_BATCH = 64
"""Images a layer on an accelerator, where --batch does not say otherwise."""


def main(argv: list[str] | None = None) -> None:
    """Runs the comparison, prints it and writes it as JSON with --out.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    flags = _flags(argv)
    # JAX would take three quarters of a GPU's memory when it first uses it, and PyTorch has none.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    large = 0 if jax.default_backend() == "cpu" else LARGE_BATCH
    layers = [
        dataclasses.replace(layer, batch=flags.batch or large or layer.batch)
        for layer in all_layers()
        if isinstance(layer, Pool) and re.search(flags.only, layer.name)
    ]
    if not layers:
        sys.exit(f"pool_forms: no pooling matches --only={flags.only!r}; see layers.py")
    report: dict[str, Any] = {
        "command": f"python -m scripts.benchmarks.pool_forms --dtype {flags.dtype}"
        + (f" --only '{flags.only}'" if flags.only else "")
        + (f" --batch {flags.batch}" if flags.batch else "")
        + f" --repeats {flags.repeats} --calls {flags.calls}",
        "machine": describe(),
        "rows": [],
    }
    print(f"# {report['machine']}")
    # All are traced, and then compiled at once: on a GPU a program takes a second or more.
    lowered = [lower_forms(layer, flags.dtype) for layer in layers]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [{n: pool.submit(f.compile) for n, f in forms.items()} for forms in lowered]
        programs = [{name: job.result() for name, job in forms.items()} for forms in jobs]
    for layer, forms in zip(layers, programs, strict=True):
        row = measure(layer, forms, flags)
        report["rows"].append(row)
        print(_line(row), flush=True)
        if flags.out:
            path = pathlib.Path(flags.out)
            path.parent.mkdir(parents=True, exist_ok=True)
            # After each layer: an interrupted run keeps its rows.
            path.write_text(json.dumps(report, indent=1) + "\n")


def lower_forms(layer: Pool, dtype: str) -> dict[str, jax.stages.Lowered]:
    """Returns the traced forms of a layer by name: programs from (x, dL/dy) to (y, dL/dx).

    Args:
        layer: its sizes.
        dtype: of the arrays.
    """
    shapes, ours = _shapes(layer, dtype), _function(layer, "ours")
    forms = {"lax": jax.jit(_both(_function(layer, "native"))).lower(*shapes)}
    with for_cpu_alone(True):
        forms["own"] = jax.jit(_both(ours)).lower(*shapes)
        if layer.kind == "max":
            with mock.patch.object(max_pool, "materialized", lambda x, witness: x):
                forms["own, fused"] = jax.jit(_both(ours)).lower(*shapes)
    return forms


def measure(
    layer: Pool, programs: dict[str, jax.stages.Compiled], flags: argparse.Namespace
) -> dict[str, Any]:
    """Returns a layer's row: the median ms of each form, and its distance from lax's result.

    Args:
        layer: its sizes.
        programs: its compiled forms.
        flags: what to measure.
    """
    numbers = np.random.default_rng(0).standard_normal(4_000_037, np.float32)
    x, y = _shapes(layer, flags.dtype)
    x = jnp.asarray(np.resize(numbers, x.shape), x.dtype)
    grad = jnp.asarray(np.resize(numbers[::-1], y.shape), y.dtype)
    results = {name: program(x, grad) for name, program in programs.items()}
    calls: dict[str, Callable[[], Any]] = {
        name: in_a_row(partial(program, x, grad), jax.block_until_ready, flags.calls)
        for name, program in programs.items()
    }
    if flags.torch:
        call, wait = torch_form(layer, x, grad)
        try:
            found = wait(call())
        except NotImplementedError as error:  # LRN in bfloat16 on CPU
            print(f"{layer.name}: PyTorch is left out: {error}")
        else:
            results["torch"] = [a.detach().permute(0, 2, 3, 1).float().cpu() for a in found]
            calls["torch"] = in_a_row(call, wait, flags.calls)
    exact = [np.asarray(array, np.float64) for array in results["lax"]]
    times = interleaved(calls, flags.repeats, flags.seconds)
    return {
        "layer": layer.name,
        "batch": layer.batch,
        "ms": {name: round(1e3 * times.median(name) / flags.calls, 4) for name in calls},
        "differences": {
            name: max(map(relative_error, arrays, exact)) for name, arrays in results.items()
        },
    }


def torch_form(
    layer: Pool, x: jax.Array, grad: jax.Array
) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """Returns PyTorch's form of a layer, in channels_last, and what waits for it.

    Args:
        layer: its sizes.
        x: the layer's input.
        grad: dL/dy.
    """
    import torch  # pyright: ignore[reportMissingImports]

    functional = torch.nn.functional
    images, given = (torch.from_dlpack(array).permute(0, 3, 1, 2) for array in (x, grad))
    images = images.detach().requires_grad_()
    window = layer.window, layer.stride, layer.padding
    function = {
        "max": lambda: functional.max_pool2d(images, *window),
        "avg": lambda: functional.avg_pool2d(images, *window),
        # PyTorch divides alpha by the size.
        "lrn": lambda: functional.local_response_norm(images, 5, 5e-4, 0.75, 2.0),
    }[layer.kind]

    def call() -> Any:
        y = function()
        return y, torch.autograd.grad(y, images, given)[0]

    def wait(result: Any) -> Any:
        if jax.default_backend() == "gpu":
            torch.cuda.synchronize()
        return result

    return call, wait


def _shapes(layer: Pool, dtype: str) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    x = jax.ShapeDtypeStruct((layer.batch, layer.size, layer.size, layer.channels), dtype)
    return x, jax.eval_shape(_function(layer, "ours"), x)


def _function(layer: Pool, backward: str) -> Callable[[jax.Array], jax.Array]:
    if layer.kind == "lrn":
        return partial(ops.local_response_norm, backward=backward)
    pool = ops.max_pool if layer.kind == "max" else ops.avg_pool
    return partial(
        pool,
        window=layer.window,
        strides=layer.stride,
        padding=layer.padding,
        backward=backward,
    )


def _both(function: Callable) -> Callable:
    def run(x: jax.Array, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, back = jax.vjp(function, x)
        return y, back(grad)[0]

    return run


def _line(row: dict[str, Any]) -> str:
    cells = [f"{name} {ms:.3f}" for name, ms in row["ms"].items()]
    cells.append(f"largest difference {max(row['differences'].values()):.0e}")
    return f"{row['layer']:<{LAYER_WIDTH}} " + "  ".join(cells)


def _flags(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="regular expression over layers")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--batch", type=int, default=0, help="images a layer; the layer's if 0")
    parser.add_argument("--repeats", type=int, default=9, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=30.0, help="5 rounds suffice after this")
    parser.add_argument("--calls", type=int, default=1, help="calls in a row, timed as one")
    parser.add_argument("--torch", action="store_true", help="time PyTorch as well")
    parser.add_argument("--out", default="", help="JSON file of the figures")
    flags = parser.parse_args(argv)
    for name in ("batch", "repeats", "calls"):
        if getattr(flags, name) < (0 if name == "batch" else 1):
            sys.exit(f"pool_forms: --{name} must not be {getattr(flags, name)}; give 1 or more")
    if flags.torch and importlib.util.find_spec("torch") is None:
        sys.exit("pool_forms: --torch needs PyTorch: pip install torch")
    return flags


if __name__ == "__main__":
    main()
