"""What an attack found, as Markdown."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scripts.torture.attack import Attack, Outcome

_NAMED = 40


@dataclasses.dataclass
class Score:
    """The outcomes of one attack.

    Attributes:
        attack: the attack.
        next_try: number of the next try.
        seconds: how long the tries took.
        held: how many outcomes were as promised.
        faults: the others: number of the try, and sentence.
    """

    attack: Attack
    next_try: int = 0
    seconds: float = 0.0
    held: int = 0
    faults: list[tuple[int, str]] = dataclasses.field(default_factory=list)

    def add(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Counts the outcomes of the next try.

        Args:
            outcomes: what came of it.
            seconds: how long it took.
        """
        number = self.next_try
        self.next_try += 1
        self.seconds += seconds
        self.held += sum(outcome.held for outcome in outcomes)
        self.faults += [(number, outcome.sentence) for outcome in outcomes if not outcome.held]


def write_summary(scores: Sequence[Score], command: str, seed: int, seconds: float) -> str:
    """Returns the table of tries, held and failed, and the faults.

    Args:
        scores: the outcomes of each attack.
        command: the command line.
        seed: of the random generators.
        seconds: how long it took.
    """
    lines = [
        "# Torture",
        "",
        f"`{command}`, seed {seed}, {seconds / 60:.1f} minutes; {_machine()}.",
        "",
        "| attack | tries | held | failed |",
        "|---|--:|--:|--:|",
    ]
    for score in scores:
        tries = score.held + len(score.faults)
        what = f"`{score.attack.name}`: {score.attack.what}"
        lines.append(f"| {what} | {tries:,} | {score.held:,} | {len(score.faults):,} |")
    total, bad = sum(s.held for s in scores), sum(len(s.faults) for s in scores)
    lines.append(f"| all | {total + bad:,} | {total:,} | {bad:,} |")
    for score in scores:
        if score.faults:
            lines += ["", f"## {score.attack.name}", "", *_faults(score, seed)]
    return "\n".join(lines) + "\n"


def _faults(score: Score, seed: int) -> list[str]:
    """Returns the first faults, equal ones together, each with the try that repeats it."""
    first: dict[str, int] = {}
    for number, sentence in score.faults:
        first.setdefault(sentence, number)
    counts = Counter(sentence for _, sentence in score.faults)
    lines = [
        f"- {' '.join(sentence.split())} (try {number}{_times(counts[sentence])})"
        for sentence, number in list(first.items())[:_NAMED]
    ]
    if len(first) > _NAMED:
        lines.append(f"- and {len(first) - _NAMED} more")
    name = score.attack.name
    again = f"python -m scripts.torture --only={name} --seed={seed} --first=TRY --tries=1"
    return [*lines, "", f"Repeat one with `{again}`."]


def _times(count: int) -> str:
    return f", {count} times" if count > 1 else ""


def _machine() -> str:
    packages = ("jax", "jaxlib", "flax", "orbax-checkpoint", "numpy")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {_processor()}, {gigabytes:.0f} GiB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, {versions}; commit {_commit()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip() or "not known"
