r"""Writes docs/results/house.md: the layout of this checkout beside that of an earlier commit.

python -m scripts.house --before=REVISION [--time_tests] [--noprograms]

Nothing but the tests is timed. The earlier commit is checked out into a temporary folder.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.benchmarks.machine import describe
from scripts.house.counts import Counts, count
from scripts.house.questions import ANSWERS, check_answers

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/results/house.md"
HERE = Path(__file__).parent

ROWS: tuple[tuple[str, Callable[[Counts], str]], ...] = (
    ("Python files", lambda counts: f"{len(counts.files)}"),
    ("lines", lambda counts: f"{sum(counts.files.values()):,}"),
    ("median file, lines", lambda counts: f"{statistics.median(counts.files.values()):.0f}"),
    ("longest file, lines", lambda counts: _largest(counts.files)),
    ("most files in a folder", lambda counts: _largest(counts.folders)),
    ("longest function, lines", lambda counts: _longest(counts)),
    ("functions over 60 lines", lambda counts: f"{sum(d.lines > 60 for d in counts.definitions)}"),
    ("most arguments", lambda counts: _most_arguments(counts)),
    ("public functions with a docstring", lambda counts: f"{counts.share_documented():.1%}"),
    ("of those with arguments, with Args", lambda counts: f"{counts.share_with_args():.1%}"),
    ("functions with all types", lambda counts: f"{counts.share_typed():.1%}"),
    (
        "comments, of lines of code and comments",
        lambda counts: f"{counts.comments / (counts.comments + counts.code):.1%}",
    ),
    ("circles of imports", lambda counts: f"{len(counts.circles)}"),
)


def main() -> None:
    """Measures both checkouts and writes the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", required=True, help="an earlier commit")
    parser.add_argument("--time_tests", action="store_true", help="run both checkouts' tests")
    parser.add_argument("--noprograms", action="store_true", help="compare no compiled steps")
    options = parser.parse_args()
    check_answers(ROOT)
    with tempfile.TemporaryDirectory() as scratch, _checked_out(options.before, scratch) as before:
        checkouts = (before, ROOT)
        rows = [(name, *[measure(count(each)) for each in checkouts]) for name, measure in ROWS]
        hops = [_hops(each, Path(scratch, "data", each.name)) for each in checkouts]
        rows += [
            (
                f"{label} from `main` to the first backward rule",
                *[f"{each[key]:,}" for each in hops],
            )
            for label, key in (("changes of file", "hops"), ("calls", "calls"), ("files", "files"))
        ]
        if options.time_tests:
            rows.append(("default tests, seconds", *[_seconds(each) for each in checkouts]))
        programs = [] if options.noprograms else _programs(checkouts, Path(scratch))
    PAGE.write_text(_page(options.before, rows, programs), encoding="utf-8")
    print(PAGE)


@contextmanager
def _checked_out(revision: str, scratch: str):
    folder = Path(scratch, "before")
    git = ("git", "-C", str(ROOT), "worktree")
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def _run(program: str, checkout: Path, *arguments: str | Path) -> dict[str, Any]:
    """Returns what one of the programs that stand alone prints."""
    command = [sys.executable, HERE / program, checkout, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _hops(checkout: Path, data_folder: Path) -> dict[str, int]:
    # The first training prepares the digits, each checkout in its own way, and is not counted.
    _run("hops.py", checkout, data_folder)
    return _run("hops.py", checkout, data_folder)


def _seconds(checkout: Path) -> str:
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "not slow"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(command, check=True, cwd=checkout, env=environment)
    return f"{time.perf_counter() - start:.0f}"


def _programs(checkouts: tuple[Path, Path], scratch: Path) -> list[tuple[str, str]]:
    before, after = (
        _run("programs.py", each, scratch / f"programs{number}")
        for number, each in enumerate(checkouts)
    )
    return [
        (network, "equal" if before[network] == digest else "differs")
        for network, digest in after.items()
        # A network that is new has nothing to be compared with.
        if network in before
    ]


def _page(before: str, rows: list[tuple[str, ...]], programs: list[tuple[str, str]]) -> str:
    lines = [
        "# The layout of the code",
        "",
        f"Written by `python -m scripts.house --before={before}`; do not edit. {describe()}.",
        "Counted over `cnnjax/`, `experiments/` and `scripts/`; lines of a function include its",
        "docstring. Changes of file are counted among the calls of functions of `cnnjax` and",
        "`experiments`, by `sys.setprofile`, in a training of LeNet-5 on the prepared digits; what",
        "runs while a module is imported is left out.",
        "",
        f"| | {before} | now |",
        "|---|--:|--:|",
        *[f"| {' | '.join(row)} |" for row in rows],
        "",
        "## Where a newcomer looks",
        "",
        "| question | file |",
        "|---|---|",
        *[f"| {question} | `{file}` |" for question, file, _ in ANSWERS],
    ]
    if programs:
        lines += [
            "",
            "## Compiled training steps",
            "",
            "The optimized programs of the benchmark's training steps, compared with those of the",
            "earlier commit, without names of instructions and places in the source.",
            "",
            "| network | program |",
            "|---|---|",
            *[f"| {network} | {outcome} |" for network, outcome in programs],
        ]
    return "\n".join(lines) + "\n"


def _largest(sizes: dict[str, int]) -> str:
    name = max(sizes, key=lambda each: sizes[each])
    return f"{sizes[name]} (`{name}`)"


def _longest(counts: Counts) -> str:
    longest = max(counts.definitions, key=lambda each: each.lines)
    return f"{longest.lines} (`{longest.node.name}`)"


def _most_arguments(counts: Counts) -> str:
    most = max(counts.definitions, key=lambda each: len(each.arguments))
    return f"{len(most.arguments)} (`{most.node.name}`)"


if __name__ == "__main__":
    main()
