"""Where a compiled step spends its time, by layer, from XLA's own profile."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import glob
import re
import tempfile
import warnings
from collections.abc import Iterable

import jax

from scripts.benchmarks.step_contestants import Contestant

RUNS = 5
ROWS = 30

_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = .*?metadata=\{op_name=\"([^\"]*)\"")
_NAMED = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = .*calls=%?([\w.\-]+)")
_OPERANDS = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = [^=]*?[\w\-]+\((%[^)]*)\)")
_CONTAINERS = ("call", "while", "conditional")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{\s*$")


@dataclasses.dataclass(frozen=True)
class Span:
    """One execution of an instruction, in nanoseconds."""

    instruction: str
    start: float
    end: float


def by_layer(way: Contestant) -> list[str]:
    """Runs a step a few times under the profiler.

    Args:
        way: a contestant with a compiled program.

    Returns:
        The lines of a Markdown table: layer, pass and kind of operation, with their ms of a step
        and their share, the costliest first. Where several instructions run at once, each gets an
        equal part of that time.

    Raises:
        ValueError: the contestant has no compiled program.
    """
    if way.program is None:
        raise ValueError("by_layer: the step is not compiled by XLA, so that it has no profile")
    origins = operation_names(way.program.as_text() or "")
    spent: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for name, nanoseconds in shared_time(_spans(way)).items():
        spent[describe(origins.get(name, ""), name)] += round(nanoseconds)
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


def shared_time(spans: Iterable[Span]) -> dict[str, float]:
    """Returns the time of each instruction; those that run at once share it equally.

    Args:
        spans: executions of instructions, in any order.
    """
    spent: collections.defaultdict[str, float] = collections.defaultdict(float)
    edges = sorted(
        edge
        for number, span in enumerate(spans)
        if span.end > span.start
        for edge in ((span.start, True, number, span.instruction), (span.end, False, number, ""))
    )
    running: dict[int, str] = {}
    before = 0.0
    for time, starts, number, instruction in edges:
        for name in running.values():
            spent[name] += (time - before) / len(running)
        before = time
        if starts:
            running[number] = instruction
        else:
            running.pop(number, None)
    return dict(spent)


def operation_names(program: str) -> dict[str, str]:
    """Returns, for each instruction of a compiled program's text, the name JAX gave its operation.

    A fusion without a name of its own has that of the last named instruction within it. An
    instruction that the compiler added has the layer of a named array that it reads, and its own
    kind.

    Args:
        program: the text of the compiled program.
    """
    names: dict[str, str] = {}
    read: dict[str, list[str]] = {}
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
        if found := _OPERANDS.match(text):
            read[found[1]] = re.findall(r"%([\w.\-]+)", found[2])
    for name, called in calls.items():
        if called in within:
            names.setdefault(name, within[called])
    # An operand comes before what reads it, so that one pass suffices.
    for name, operands in read.items():
        sources = [names[operand] for operand in operands if operand in names]
        # What reads an array of the backward pass belongs to it.
        source = next((s for s in sources if "transpose(" in s), sources[0] if sources else "")
        if name not in names and "/" in source:
            names[name] = f"{source.rpartition('/')[0]}/{_kind(name)}"
    return names


def _kind(instruction: str) -> str:
    """Returns an instruction's name without its number."""
    return re.sub(r"[.\d]+$", "", instruction)


def describe(operation: str, instruction: str = "") -> tuple[str, str, str]:
    """Splits an operation's name into layer, pass ("forward" or "backward") and kind.

    An instruction that the compiler added has no such name: its kind is the instruction's.

    Args:
        operation: JAX's name of it; "" if it has none.
        instruction: the compiler's name.
    """
    backward = "transpose(" in operation
    parts = [part for part in operation.split("/") if part and not part.startswith("jit(")]
    if not parts:
        return "(compiler's own)", "", _kind(instruction)
    layers = [part for part in parts[:-1] if not re.fullmatch(r"[\w<>\[\]]+\(.*\)", part)]
    return "/".join(layers[:2]) or "(step)", "backward" if backward else "forward", parts[-1]


def _spans(way: Contestant) -> list[Span]:
    """Returns the executions of instructions in `RUNS` steps.

    Convolutions and products run on other threads, and their event ends when they are handed over;
    a mark, "end: NAME", follows when they are done.
    """
    started: list[tuple[str, float, float]] = []
    marks: collections.defaultdict[str, list[float]] = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        # The first step may do more than the others.
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
                        if event.name.startswith("end: "):
                            marks[event.name.removeprefix("end: ")].append(event.start_ns)
                            continue
                        # Only instructions have it; a call's own time holds its parts'.
                        name = dict(event.stats).get("hlo_op")
                        if isinstance(name, str) and not name.startswith(_CONTAINERS):
                            started.append((name, event.start_ns, event.end_ns))
    for times in marks.values():
        times.sort()
    spans = []
    for name, start, end in started:
        # Its own mark is the first since its start; it may lie a little before its event's end.
        own = bisect.bisect_left(marks[name], start)
        done = marks[name][own] if own < len(marks[name]) else end
        spans.append(Span(name, start, max(done, end)))
    return spans
