"""Measures settings outside of a program: the allocator, the compiler's flags, the cores.

    python -m scripts.benchmarks.settings [--net REGEX] [--rounds 3] [--preload LIB.so ...]

Each setting is an environment, so each run is a process of its own: it times our step of the
network and ends. Every round starts each setting once, in a new order. Prints a Markdown table of
the medians over all rounds, and their ratios to the first line.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

from scripts.benchmarks.cases.whole_nets import NETS
from scripts.benchmarks.machine import describe

_HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
# glibc's own default; cnnjax leaves the allocator alone where a user has set this variable.
_AS_IT_COMES = {"MALLOC_ARENA_MAX": str(8 * (os.cpu_count() or 1))}

SETTINGS: dict[str, dict[str, str]] = {
    "as the experiments run": {},
    "glibc as it comes": _AS_IT_COMES,
    "glibc as it comes, huge pages": _AS_IT_COMES | _HUGE,
    "as the experiments run, huge pages": _HUGE,
    "wider vectors": {"XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"},
    "scheduler for concurrency": {
        "XLA_FLAGS": "--xla_cpu_enable_concurrency_optimized_scheduler=true"
    },
    "pinned to its cores": {"CNNJAX_BENCHMARK_CORES": "all"},
}


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark and prints its table.

    Args:
        argv: the flags; None reads `sys.argv`.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--net", default="^ResNet-18$", help="regular expression over networks")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each setting")
    parser.add_argument("--steps", type=int, default=11, help="timed steps of a process")
    parser.add_argument("--preload", nargs="*", default=[], help="allocators to try (.so files)")
    flags = parser.parse_args(argv)
    nets = [net.label for net in NETS if re.search(flags.net, net.label)]
    if not nets:
        names = ", ".join(net.label for net in NETS)
        sys.exit(f"settings: no network matches --net={flags.net!r}; there are {names}")
    if missing := [path for path in flags.preload if not os.path.exists(path)]:
        sys.exit(f"settings: --preload names files that do not exist: {', '.join(missing)}")
    settings = SETTINGS | {os.path.basename(path): {"LD_PRELOAD": path} for path in flags.preload}
    print(f"{describe()}\n\n| setting | " + " | ".join(nets) + " |")
    print("|---|" + "--:|" * len(nets))
    columns = [_measure(net, settings, flags.rounds, flags.steps) for net in nets]
    for name in settings:
        cells = [f"{c[name]:.1f} ms ({c[name] / next(iter(c.values())):.2f})" for c in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _measure(
    net: str, settings: dict[str, dict[str, str]], rounds: int, steps: int
) -> dict[str, float]:
    """Returns the median ms of our step under each setting."""
    found: dict[str, list[float]] = {name: [] for name in settings}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            # In a new order, so that slow drifts of the machine affect all settings alike.
            for name in rng.permutation(list(settings)):
                found[name].append(_run(net, settings[name], steps, pathlib.Path(folder)))
                print(f"# {net}, {name}: {found[name][-1]} ms", file=sys.stderr, flush=True)
    return {name: float(np.median(values)) for name, values in found.items()}


def _run(net: str, environment: dict[str, str], steps: int, folder: pathlib.Path) -> float:
    """Returns the median ms of a step in a process with this environment."""
    out = folder / "row"
    command = [sys.executable, "-m", "scripts.benchmarks.steps", "--columns=ours", "--no_torch"]
    command += [f"--only=^{re.escape(net)}$", f"--repeats={steps}", f"--out={out}"]
    if environment.get("CNNJAX_BENCHMARK_CORES"):
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        command = ["taskset", "--cpu-list", cores, *command]
    # Compiled programs are kept for the next process: they are the same under each allocator.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    done = subprocess.run(
        command, env=os.environ | cache | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"settings: {' '.join(command)} failed:\n{done.stderr}")
    return json.loads(out.with_suffix(".json").read_text())["rows"][0]["ms"]["ours"]


if __name__ == "__main__":
    main()
