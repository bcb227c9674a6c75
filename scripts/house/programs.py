r"""Digests of the optimized programs of the benchmark's training steps, without names and places.

python scripts/house/programs.py CHECKOUT FOLDER [NETWORK ...]

It stands alone, so that it measures any checkout. Each program's text goes into FOLDER; one line of
JSON holds the digests by network.
"""

import hashlib
import json
import os
import re
import sys
from pathlib import Path

_METADATA = re.compile(r", (?:metadata|frontend_attributes|origin)=\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
_NAME = re.compile(r"%[\w.\-]+")


def without_names(text: str) -> str:
    """Returns a program's text without what does not change what it computes.

    Args:
        text: an HLO module as `Compiled.as_text` gives it.

    Returns:
        The text without source places; instructions and computations are numbered in the order in
        which they are first named.
    """
    numbers: dict[str, str] = {}
    # Tables of files and functions come before the first computation.
    start = re.search(r"^(?:ENTRY )?%", text, re.MULTILINE)
    body = _METADATA.sub("", text[start.start() if start else 0 :])
    return _NAME.sub(lambda name: numbers.setdefault(name[0], f"%{len(numbers)}"), body)


def main() -> None:
    """Compiles the steps, and prints their digests."""
    if len(sys.argv) < 3:
        sys.exit("usage: python scripts/house/programs.py CHECKOUT FOLDER [NETWORK ...]")
    checkout, texts, *wanted = sys.argv[1:]
    folder = Path(texts).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, checkout)
    os.chdir(checkout)
    from scripts.benchmarks.cases.whole_nets import NETS
    from scripts.benchmarks.step_contestants import contestants

    digests = {}
    for net in NETS:
        if wanted and net.model not in wanted:
            continue
        program = contestants(net, False, ("ours",))["ours"].program
        assert program is not None
        text = without_names(program.as_text() or "")
        (folder / f"{net.model}.hlo").write_text(text)
        digests[net.label] = hashlib.sha256(text.encode()).hexdigest()
    print(json.dumps(digests))


if __name__ == "__main__":
    main()
