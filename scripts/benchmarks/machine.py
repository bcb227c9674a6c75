"""The machine of a benchmark: processor, threads, versions, and the matrix-product peak."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import jax
import jax.numpy as jnp

from scripts.benchmarks.timing import interleaved


def describe() -> str:
    """Returns one line: device, cores, Python and library versions."""
    device = jax.devices()[0]
    accelerator = "" if device.platform == "cpu" else f"{device.device_kind}, "
    versions = []
    for package in ("jax", "jaxlib", "torch"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = f"{os.cpu_count()} cores of {_processor()}"
    return f"{accelerator}{cores}, Python {platform.python_version()}, " + ", ".join(versions)


def matmul_peak(options: dict[str, Any], size: int = 2048) -> float:
    """Returns the best float32 GFLOP/s of a square matrix product, with or without `options`.

    Args:
        options: compiler options.
        size: rows and columns of the matrices.
    """
    a = jnp.ones((size, size), jnp.float32)
    programs = [
        jax.jit(jnp.dot, compiler_options=each).lower(a, a).compile() for each in ({}, options)
    ]
    times = interleaved(
        {str(i): lambda p=p: jax.block_until_ready(p(a, a)) for i, p in enumerate(programs)}, 7
    )
    return 2e-9 * size**3 / min(float(t.min()) for t in times.rounds.values())


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(li.split(":", 1)[1].strip() for li in lines if "model name" in li)
    except (OSError, StopIteration):
        return platform.processor() or "an unknown processor"
