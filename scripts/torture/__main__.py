"""Attacks cnnjax at random, and counts what held.

    python -m scripts.torture --minutes=60 --seed=0 --output=docs/results/torture.md
    python -m scripts.torture --only=kills,run-files --minutes=5
    python -m scripts.torture --only=images --first=17 --tries=1

All attacks get the same time, and each at least one try. A try depends on the seed and its number
alone, so that a fault can be repeated. The exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

# Before jax is imported: the attacked processes compute on the CPU, and with one seed alike.
os.environ["JAX_PLATFORMS"] = "cpu"

# All that the commands import, loaded once, before processes are forked.
import cv2  # noqa: F401
import jinja2  # noqa: F401
import matplotlib.figure  # noqa: F401
import numpy as np
import orbax.checkpoint  # noqa: F401
import sklearn.datasets  # noqa: F401
import tensorboardX.event_file_writer  # noqa: F401
from ml_collections import config_flags  # noqa: F401

from cnnjax import inference, recipes, reports, training  # noqa: F401
from cnnjax.writing import ESCAPES
from scripts.torture import (
    damaged_files,
    full_disk,
    kills,
    odd_archives,
    odd_images,
    op_calls,
)
from scripts.torture.attack import Attack, failed
from scripts.torture.summary import Score, write_summary

ATTACKS = (
    kills.ATTACK,
    damaged_files.RUN,
    damaged_files.DATA,
    full_disk.ATTACK,
    op_calls.ATTACK,
    odd_images.ATTACK,
    odd_archives.ATTACK,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Attacks until the time is over and prints the summary.

    Args:
        arguments: the command line without the program; None reads `sys.argv`.

    Returns:
        The exit code: 0, or 1 if anything failed.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    chosen = _chosen(options.only)
    started = time.monotonic()
    end = started + 60 * options.minutes
    scores = [Score(attack, next_try=options.first) for attack in chosen]
    # After Ctrl-C, what was found so far is printed.
    with contextlib.suppress(KeyboardInterrupt):
        _attack(scores, options, end)
    command = shlex.join(["python", "-m", "scripts.torture", *given])
    text = write_summary(scores, command, options.seed, time.monotonic() - started)
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8", errors=ESCAPES)
    return int(any(score.faults for score in scores))


def _attack(scores: Sequence[Score], options: argparse.Namespace, end: float) -> None:
    """Makes tries until the time is over."""
    # Before the first try, whose time it would count to.
    for score in scores:
        if score.attack.prepare is not None:
            try:
                score.attack.prepare()
            except RuntimeError as error:
                sys.exit(f"nothing can be attacked: {error}")
    # At least one of each, so that no attack is left out.
    for score in scores:
        _try(score, options.seed)
    while time.monotonic() < end:
        left = [score for score in scores if score.next_try < options.first + options.tries]
        if not left:
            return
        _try(min(left, key=lambda score: score.seconds), options.seed)


def _try(score: Score, seed: int) -> None:
    """Makes the next try in a folder of its own and counts its outcomes."""
    attack, number, started = score.attack, score.next_try, time.monotonic()
    generator = np.random.default_rng([seed, number, *attack.name.encode()])
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as scratch:
        try:
            outcomes = attack.attempt(generator, Path(scratch))
        except Exception as error:
            # What the attack did not expect is a find, too, and must not end the others.
            outcomes = failed(f"the attack itself failed: {type(error).__name__}: {error}")
    score.add(outcomes, time.monotonic() - started)
    for outcome in outcomes:
        if not outcome.held:
            print(f"{attack.name} {number}: {outcome.sentence}", file=sys.stderr, flush=True)


def _chosen(only: str | None) -> list[Attack]:
    if only is None:
        return list(ATTACKS)
    known = {attack.name: attack for attack in ATTACKS}
    names = only.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"--only: there is no attack {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.torture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60, help="time for all [default: 60]")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices [default: 0]")
    parser.add_argument("--only", help="names of attacks, separated by commas [default: all]")
    parser.add_argument("--first", type=int, default=0, help="number of the first try")
    parser.add_argument("--tries", type=int, default=10**9, help="most tries of each attack")
    parser.add_argument("--output", help="Markdown file for the summary, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
