"""What a run ran on: recorded with it, and compared when it is resumed."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from cnnjax import ops
from cnnjax.training.folder.differences import differences


def describe_environment() -> dict[str, Any]:
    """Returns versions, devices, cores and compiler settings: what decides a result's last bit."""
    device = jax.devices()[0]
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")},
        },
        "devices": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "machine": platform.machine(),
        # XLA shares sums among its threads, so their number can change the last bit.
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "compiler_options": ops.compiler_options(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def describe_code() -> dict[str, Any]:
    """Returns the command and, in a git checkout, the commit and whether files differ from it."""
    repository = Path(__file__).resolve().parents[3]
    return {
        "command": " ".join(sys.orig_argv),
        "commit": _git(repository, "rev-parse", "HEAD"),
        # New files do not count: runs and data often lie in the checkout.
        "dirty": bool(_git(repository, "status", "--porcelain", "--untracked-files=no")),
    }


def _git(repository: Path, *arguments: str) -> str | None:
    if not (repository / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def environment_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Returns a line for each entry in which two environments differ.

    Args:
        old: an environment, as `describe_environment` gives it.
        new: another one.
    """
    return [f"{name}: {before} before, {now} now" for name, before, now in differences(old, new)]
