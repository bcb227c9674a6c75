"""The table, the means and the chart of the benchmark of whole steps."""

from __future__ import annotations

import pathlib
from typing import Any

from scripts.benchmarks.columns import NETWORK_WIDTH, times_over_ours
from scripts.benchmarks.step_contestants import COLUMNS
from scripts.benchmarks.timing import geometric_mean

Row = dict[str, Any]
BASELINES = ("native", "native, option", "flax")
ARITHMETIC = {
    "float32": "float32",
    "tf32": "float32 with products in TF32 (all alike)",
    "bfloat16": "bfloat16 with float32 parameters (PyTorch: autocast)",
}


def line(row: Row) -> str:
    """Returns one printed line: times in ms, and how many times ours the others take.

    Args:
        row: one network.
    """
    ms = row["ms"]
    cells = [f"{row['net']:<{NETWORK_WIDTH}}", f"ours {ms['ours']:9.1f} ms"]
    cells += times_over_ours(ms, COLUMNS[1:], decimals=1)
    temps = ", ".join(f"{n} {value:.0f}" for n, value in row["temp_mb"].items())
    return "  ".join(cells) + f"  temp MB: {temps}"


def _shown(rows: list[Row]) -> list[str]:
    """Returns the ways that any row has, in their order."""
    return [name for name in COLUMNS if any(name in row["ms"] for row in rows)]


def ratios(rows: list[Row], base: str) -> list[float]:
    """Returns time of `base` over ours for each row that has it.

    Args:
        rows: networks.
        base: a contestant; "best" for the strongest plain baseline of each row.
    """
    found = []
    for row in rows:
        ms = row["ms"]
        plain = [ms[n] for n in BASELINES if n in ms]
        if base == "best" and plain:
            found.append(min(plain) / ms["ours"])
        elif base in ms:
            found.append(ms[base] / ms["ours"])
    return found


def summary(report: Row) -> str:
    """Returns the geometric means, as a Markdown table.

    Args:
        report: all results, as in OUT.json.
    """
    compiled = bool(ratios(report["rows"], "torch compiled"))
    lines = [
        "| networks | flax as it comes / ours | native as it comes / ours | strongest plain / ours "
        "| ours / PyTorch |" + (" ours / PyTorch compiled |" if compiled else ""),
        "|---|--:|--:|--:|--:|" + ("--:|" if compiled else ""),
    ]
    groups = {"all": report["rows"]}
    groups["all but ResNeXt"] = [
        r for r in report["rows"] if not r["net"].lower().startswith("resnext")
    ]
    for name, rows in groups.items():
        torch = ratios(rows, "torch")
        lines.append(
            f"| {name} ({len(rows)}) | {_mean(ratios(rows, 'flax'))} | "
            f"{_mean(ratios(rows, 'native'))} | {_mean(ratios(rows, 'best'))} | "
            + (f"{1 / geometric_mean(torch):.2f} |" if torch else "|")
            + (f" {1 / geometric_mean(ratios(rows, 'torch compiled')):.2f} |" if compiled else "")
        )
    slower = [r["net"] for r in report["rows"] if min(ratios([r], "best"), default=1) < 1]
    heavier = [
        r["net"]
        for r in report["rows"]
        if r["temp_mb"].get("ours", 0) > r["temp_mb"].get("native", float("inf"))
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"Slower than a plain baseline: {', '.join(slower) or 'none'}.",
            f"More temporary memory than native: {', '.join(heavier) or 'none'}.",
        ]
    )


def markdown(report: Row) -> str:
    """Returns the whole report as Markdown: command, machine, means, and every row.

    Args:
        report: all results, as in OUT.json.
    """
    columns = _shown(report["rows"])
    lines = [
        "# Whole training steps",
        "",
        f"`{report['command']}`",
        "",
        f"{report['machine']}. Forward, backward and SGD with momentum, "
        f"{ARITHMETIC[report.get('arithmetic', 'float32')]}; dropout and "
        "drop-path off, so that all give the same losses. Median ms of "
        + (
            "rounds in turn, a process for each way"
            if report.get("alone")
            else "interleaved rounds"
        )
        + ", with quartiles.",
        "",
        *([report["notes"], ""] if report.get("notes") else []),
        summary(report),
        "",
        "| network, batch | " + " | ".join(columns) + " | images/s | temp MB: ours, native, flax | "
        "compile s: ours, native |",
        "|---|" + "--:|" * (len(columns) + 3),
    ]
    for row in report["rows"]:
        cells = []
        for name in columns:
            if name in row["ms"]:
                low, high = row["quartiles_ms"][name]
                cells.append(f"{row['ms'][name]:.1f} ({low:.1f} to {high:.1f})")
            else:
                cells.append("")
        temps = _listed(row["temp_mb"], ("ours", "native", "flax"))
        compiled = _listed(row["compile_s"], ("ours", "native"))
        speed = 1e3 * row["batch"] / row["ms"]["ours"]
        lines.append(
            f"| {_label(row, '')} | "
            + " | ".join(cells)
            + f" | {speed:.1f} | {temps} | {compiled} |"
        )
    for row in report["rows"]:
        if "profile" in row:
            lines += ["", f"## Where {row['net']}'s step spends its time", "", *row["profile"]]
    return "\n".join(lines) + "\n"


def _label(row: Row, word: str) -> str:
    """Returns a network with its batch after a word; the name of a drawn one ends with it."""
    drawn = row["net"].endswith(f", batch {row['batch']}")
    return row["net"] if drawn else f"{row['net']}, {word}{row['batch']}"


def _mean(ratios: list[float]) -> str:
    """Returns the geometric mean, or a dash where nothing was timed."""
    return f"{geometric_mean(ratios):.2f}" if ratios else "-"


def _listed(values: dict[str, float], names: tuple[str, ...]) -> str:
    """Returns whole numbers in the order of names, with a dash for what is missing."""
    return ", ".join(f"{values[name]:.0f}" if name in values else "-" for name in names)


def chart(report: Row, path: pathlib.Path) -> None:
    """Draws the ratio of each network and way as bars, on a logarithmic scale.

    Args:
        report: all results, as in OUT.json.
        path: of the image to write.
    """
    import matplotlib

    # A machine that runs benchmarks may have no display.
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = report["rows"]
    figure, axes = plt.subplots(figsize=(9, 0.75 * len(rows) + 1.6), layout="constrained")
    names = [name for name in _shown(rows) if name != "ours"]
    # Okabe and Ito's colors, which color-blind readers can distinguish.
    colors = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
    for offset, name in enumerate(names):
        found = [(i, row["ms"][name] / row["ms"]["ours"]) for i, row in enumerate(rows)
                 if name in row["ms"]]  # fmt: skip
        axes.barh(
            [i + 0.2 * (offset - (len(names) - 1) / 2) for i, _ in found],
            [ratio - 1 for _, ratio in found],
            left=1,
            height=0.19,
            color=colors[offset % len(colors)],
            label=f"{name.replace('torch', 'PyTorch')} / ours",
        )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(rows)), [_label(row, "batch ") for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("times our step's time (right is better)")
    axes.set_title(report["machine"], fontsize=8)
    if names:
        figure.legend(loc="outside lower center", ncols=len(names), fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
