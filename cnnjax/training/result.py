"""The result of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LABEL_WIDTH = 22
"""Least width of the names, in characters, in lines that programs print."""


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        step: steps done in all.
        split: what was evaluated, "test" or "validation".
        metrics: the task's metrics after the last step; empty where nothing is evaluated.
        variables: the network's variables as they are evaluated, as `model.apply` takes them: their
            moving averages where the run keeps any.
        task_state: the task's state; empty where it has none.
        history: metrics in order: `step`, `epoch`, `split` and the values.
        seconds: wall time of this start of the run, compilation included.
        compile_seconds: the part of it in which the training step was compiled.
        lines: pairs of a name and a text, to print.
    """

    step: int
    split: str
    metrics: dict[str, float]
    variables: Mapping[str, Any] = field(repr=False)
    task_state: Any = field(repr=False)
    history: Sequence[Mapping[str, Any]] = field(repr=False)
    seconds: float
    compile_seconds: float
    lines: Sequence[tuple[str, str]] = field(repr=False)

    def summary(self) -> str:
        """Returns the lines that a program prints at the end."""
        return format_lines(
            [
                *self.lines,
                ("step", str(self.step)),
                ("time", f"{self.seconds:.1f} s, of which {self.compile_seconds:.1f} s compiling"),
            ]
        )


def format_lines(lines: Sequence[tuple[str, str]]) -> str:
    """Returns pairs of a name and a text as lines, the texts in one column.

    Args:
        lines: the pairs.
    """
    width = max([LABEL_WIDTH, *(len(name) + 2 for name, _ in lines)])
    return "\n".join(f"{name:<{width}}{text}" for name, text in lines)
