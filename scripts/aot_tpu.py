"""Compiles training steps for TPU v5e without a TPU, ours against JAX's own derivatives.

    pip install "cnnjax[tpu-aot]"
    JAX_PLATFORMS=cpu python -m scripts.aot_tpu --out=docs/results/tpu_aot

Results are written after each program. Programs that are there already, of the same versions, are
not compiled again. libtpu 0.0.42 goes with jax 0.10.2, and 0.0.50 with jax 0.12.0.1.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before jax is imported, which would look for the TPU that libtpu is for.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from cnnjax.writing import write_json, write_text
from scripts.tpu import report
from scripts.tpu.nets import NETS

BACKWARD = ("ours", "native")


def main() -> None:
    """Compiles what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", action="append", choices=list(NETS), help="may be given again")
    parser.add_argument("--chips", action="append", type=int, help="1, 2, 4, 8 or 16; again")
    parser.add_argument("--out", type=Path, required=True, help="of .json and .md, without ending")
    parser.add_argument("--again", action="store_true", help="compile what is there already too")
    flags = parser.parse_args()
    path = flags.out.with_suffix(".json")
    kept = json.loads(path.read_text()) if path.exists() else {"rows": [], "notes": ""}
    for name in flags.net or NETS:
        for chips, backward in _programs(flags.chips or [1, 4]):
            if _is_kept(kept["rows"], name, chips, backward) and not flags.again:
                continue
            row = _compiled(name, chips, backward)
            kept["rows"] = [*_others(kept["rows"], row), row]
            _write(flags.out, kept)
            print(json.dumps(row), flush=True)
    _write(flags.out, kept)


def _programs(chips: list[int]) -> Iterator[tuple[int, str]]:
    for number in chips:
        for backward in BACKWARD:
            yield number, backward


def _compiled(name: str, chips: int, backward: str) -> dict[str, Any]:
    from scripts.tpu.steps import compile_row

    return compile_row(NETS[name], chips, backward)


def _is_kept(rows: list[dict[str, Any]], name: str, chips: int, backward: str) -> bool:
    from scripts.tpu.steps import versions

    return any(
        _key(row) == (name, chips, backward) and row["versions"] == versions() for row in rows
    )


def _others(rows: list[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in rows if _key(row) != _key(new)]


def _key(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["model"], row["chips"], row["backward"]


def _write(out: Path, kept: dict[str, Any]) -> None:
    order = list(NETS)
    kept["rows"].sort(key=lambda row: (order.index(row["model"]), row["chips"]))
    write_json(out.with_suffix(".json"), kept, indent=1)
    write_text(out.with_suffix(".md"), report.markdown(kept["rows"], kept["notes"]))


if __name__ == "__main__":
    main()
