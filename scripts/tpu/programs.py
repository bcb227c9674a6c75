"""What a compiled program's text says of it: collective operations and fusions."""

from __future__ import annotations

import math
import re

KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "f16": 2, "bf16": 2, "s16": 2, "u16": 2} | {
    "f32": 4,
    "s32": 4,
    "u32": 4,
    "f64": 8,
    "s64": 8,
    "u64": 8,
}
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
# The second half of an operation that runs beside others, "-done", repeats the first.
_OPERATION = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\(")


def collectives(text: str) -> dict[str, dict[str, int]]:
    """Returns the number of collective operations by kind, and the bytes of their results.

    Args:
        text: a compiled program, as `compiled.as_text()` gives it.
    """
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        operation = _OPERATION.search(line)
        if operation is None:
            continue
        arrays = [_size(*array) for array in _ARRAY.findall(operation[1])]
        kind = operation[2]
        if operation[3] and kind != "all-reduce":
            # Operands and results, then numbers for the hardware.
            arrays = arrays[1:2]
        row = found.setdefault(kind, {"count": 0, "bytes": 0})
        row["count"] += 1
        row["bytes"] += sum(arrays)
    return found


def fusions(text: str) -> int:
    """Returns the number of fusions, each of which reads and writes memory.

    Args:
        text: a compiled program.
    """
    return len(re.findall(r" fusion\(", text))


def _size(dtype: str, dimensions: str) -> int:
    sizes = [int(size) for size in dimensions.split(",") if size]
    return _BYTES.get(dtype, 0) * math.prod(sizes)
