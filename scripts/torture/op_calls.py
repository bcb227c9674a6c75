"""Wrong calls of every op: each gives a valid result, or an error that names op and argument."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from scripts.torture.attack import Attack, Outcome
from scripts.torture.op_table import NONSENSE, NONSENSE_FOR, WRONG, op_names, right_call
from scripts.torture.processes import memory_limit, start

_CALLS = 60
_SECONDS = 240
_GIGABYTES = 6

Plan = list[tuple[str, int, str]]
"""Calls: the op, which of its arguments, and the wrong value."""


def attempt(generator: np.random.Generator, scratch: Path) -> list[Outcome]:
    """Makes a number of wrong calls in one process, whose end is a fault of its last call.

    Args:
        generator: chooses the calls.
        scratch: an empty folder.
    """
    names, values = op_names(), list(WRONG)
    plan = [
        (
            names[generator.integers(len(names))],
            int(generator.integers(1000)),
            values[generator.integers(len(values))],
        )
        for _ in range(_CALLS)
    ]
    done = scratch / "done"
    ended = start(lambda: _call_all(plan, done), scratch / "log", [memory_limit(_GIGABYTES)]).end(
        _SECONDS
    )
    lines = [json.loads(line) for line in done.read_text().splitlines()] if done.exists() else []
    outcomes = [
        Outcome(line["problem"] is None, _sentence(line)) for line in lines if "call" in line
    ]
    if len(outcomes) < len(plan):
        call = lines[-1]["calls"] if lines else "the first call"
        end = "hangs" if ended.hung else f"ends the process (code {ended.code})"
        outcomes.append(Outcome(False, f"{call}: {end}"))
    return outcomes


def _sentence(line: dict[str, Any]) -> str:
    return f"{line['call']}: {line['problem'] or 'as it has to be'}"


def _call_all(plan: Plan, done: Path) -> None:
    """Makes the calls and writes a line before and after each."""
    with done.open("w", buffering=1) as file:
        for name, place, wrong in plan:
            call = right_call(name)
            argument = list(call.arguments)[place % len(call.arguments)]
            text = f"{name}({argument}={wrong})"
            file.write(json.dumps({"calls": text}) + "\n")
            problem = _problem(name, argument, wrong)
            file.write(json.dumps({"call": text, "problem": problem}) + "\n")


def _problem(name: str, argument: str, wrong: str) -> str | None:
    """Makes one call and returns what is wrong with what comes of it."""
    import jax

    call = right_call(name)
    try:
        result = call.function(**{**call.arguments, argument: WRONG[wrong]()})
        jax.block_until_ready(result)
    except (ValueError, TypeError) as error:
        message = str(error)
        for what, word in (("op", name), ("argument", argument)):
            if not re.search(rf"\b{re.escape(word)}\b", message):
                return f"{type(error).__name__} that does not name the {what}: {_short(message)}"
        return None
    except Exception as error:
        return f"{type(error).__name__}: {_short(str(error))}"
    if wrong in NONSENSE or wrong in NONSENSE_FOR.get(call.kinds[argument], ()):
        return "is taken"
    return None


def _short(message: str) -> str:
    return message.strip().split("\n")[0][:120]


ATTACK = Attack("op-calls", attempt, "wrong calls of every op")
