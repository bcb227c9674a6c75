"""Where a compiled step spends its time, by layer, from XLA's own profile."""

from __future__ import annotations

import collections
import glob
import re
import tempfile
import warnings

import jax

from scripts.benchmarks.step_contestants import Contestant

RUNS = 5
ROWS = 30

_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = .*?metadata=\{op_name=\"([^\"]*)\"")
_NAMED = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = .*calls=%?([\w.\-]+)")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{\s*$")


def by_layer(way: Contestant) -> list[str]:
    """Runs a step a few times under the profiler.

    Returns:
      The lines of a Markdown table: layer, pass and kind of operation with the ms a step spends in
      it (summed over threads) and its share, the costliest first; what has no name is one row.
    """
    if way.program is None:
        raise ValueError("by_layer: the step is not compiled by XLA, so that it has no profile")
    origins = operation_names(way.program.as_text() or "")
    spent: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for name, nanoseconds in _events(way).items():
        spent[describe(origins.get(name, ""))] += nanoseconds
    total = sum(spent.values())
    lines = ["| layer | pass | operation | ms | share |", "|---|---|---|--:|--:|"]
    for (layer, direction, kind), nanoseconds in spent.most_common(ROWS):
        lines.append(
            f"| {layer} | {direction} | {kind} | {nanoseconds / RUNS / 1e6:.2f} | "
            f"{nanoseconds / total:.1%} |"
        )
    rest = total - sum(value for _, value in spent.most_common(ROWS))
    lines.append(f"| all others | | | {rest / RUNS / 1e6:.2f} | {rest / total:.1%} |")
    kinds: collections.Counter[tuple[str, str]] = collections.Counter()
    for (_, direction, kind), nanoseconds in spent.items():
        kinds[kind, direction] += nanoseconds
    lines += ["", "| operation | pass | ms | share |", "|---|---|--:|--:|"]
    lines += [
        f"| {kind} | {direction} | {nanoseconds / RUNS / 1e6:.2f} | {nanoseconds / total:.1%} |"
        for (kind, direction), nanoseconds in kinds.most_common(ROWS)
    ]
    return lines


def operation_names(program: str) -> dict[str, str]:
    """Returns, for each instruction of a compiled program's text, the name JAX gave its operation.

    A fusion without a name of its own has that of the last named instruction within it.
    """
    names: dict[str, str] = {}
    within: dict[str, str] = {}
    calls: dict[str, str] = {}
    computation = ""
    for text in program.splitlines():
        if opened := _COMPUTATION.match(text):
            computation = opened[1]
        if found := _INSTRUCTION.match(text):
            names[found[1]] = within[computation] = found[2]
        if found := _NAMED.match(text):
            calls[found[1]] = found[2]
    for name, called in calls.items():
        names.setdefault(name, within.get(called, ""))
    return names


def describe(operation: str) -> tuple[str, str, str]:
    """Splits an operation's name into layer, pass ("forward" or "backward") and kind."""
    backward = "transpose(" in operation
    parts = [part for part in operation.split("/") if part and not part.startswith("jit(")]
    if not parts:
        return "(no name)", "", ""
    layers = [part for part in parts[:-1] if not re.fullmatch(r"[\w<>\[\]]+\(.*\)", part)]
    return "/".join(layers[:2]) or "(step)", "backward" if backward else "forward", parts[-1]


def _events(way: Contestant) -> collections.Counter[str]:
    """Returns nanoseconds per instruction over `RUNS` steps."""
    spent: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        way.step()
        # Python's own calls are of no interest here, and following them takes time.
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        with jax.profiler.trace(folder, profiler_options=options):
            for _ in range(RUNS):
                way.step()
        (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        with warnings.catch_warnings():
            # Python 3.12 deprecates how jaxlib defines the type of `event.stats`.
            warnings.simplefilter("ignore", DeprecationWarning)
            for plane in jax.profiler.ProfileData.from_file(path).planes:
                for thread in plane.lines:
                    for event in thread.events:
                        # Only instructions have it; a call's own time holds its parts'.
                        name = dict(event.stats).get("hlo_op")
                        if isinstance(name, str) and not name.startswith(("call", "while")):
                            spent[name] += int(event.duration_ns)
    return spent
