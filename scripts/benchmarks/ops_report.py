"""The table, the summary by class, and the chart of the layer benchmark."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from scripts.benchmarks.columns import LAYER_WIDTH, times_over_ours
from scripts.benchmarks.timing import geometric_mean

Row = dict[str, Any]
FAMILIES = (
    "dense", "1x1", "grouped", "grouped (2)", "depthwise", "transposed",
    "max pool", "average pool", "LRN",
)  # fmt: skip
PASSES = ("forward", "dL/dx", "dL/dk", "backward", "forward + backward")


def line(row: Row) -> str:
    """Returns one printed line: times in ms and the ratios over ours.

    Args:
        row: one pass of one layer.
    """
    ms = row["ms"]
    cells = [f"{row['layer']:<{LAYER_WIDTH}} {row['pass']:<8}", f"ours {ms['ours']:9.3f}"]
    cells += times_over_ours(ms, ("lax", "plain", "torch"), decimals=3)
    same = " =" if row["same_program"] else ""
    return "  ".join(cells) + f"  {row['gflops']:6.1f} GF  {row['temp_mb']['ours']:.0f} MB{same}"


def ratios(rows: Iterable[Row], base: str) -> list[float]:
    """Returns time of `base` over ours for each row that has it.

    Args:
        rows: passes of layers.
        base: a contestant; "best" for the faster of "lax" and "plain".
    """
    return [
        _base(row["ms"], base) / row["ms"]["ours"]
        for row in rows
        if base == "best" or base in row["ms"]
    ]


def by_layer(rows: Iterable[Row], base: str) -> list[float]:
    """Returns, per layer, the summed time of its passes in `base` over ours.

    Args:
        rows: passes of layers.
        base: see `ratios`.
    """
    layers: dict[str, list[Row]] = {}
    for row in rows:
        layers.setdefault(row["layer"], []).append(row)
    for layer, group in layers.items():
        whole = [row for row in group if row["pass"] == "forward + backward"]
        layers[layer] = whole or group
    return [
        sum(_base(r["ms"], base) for r in group) / sum(r["ms"]["ours"] for r in group)
        for group in layers.values()
        if all(base == "best" or base in r["ms"] for r in group)
    ]


def _base(ms: dict[str, float], base: str) -> float:
    return min(ms["lax"], ms["plain"]) if base == "best" else ms[base]


def summary(report: Row) -> str:
    """Returns the geometric means over all layers and class by class, as Markdown tables.

    Args:
        report: all results, as in OUT.json.
    """
    rows = report["rows"]
    lines = [
        "| layers (forward + backward) | lax as it comes / ours | strongest plain / ours | "
        "ours / PyTorch |",
        "|---|--:|--:|--:|",
    ]
    groups: list[tuple[str, Callable[[Row], bool]]] = [("all", lambda row: True)]
    groups += [(f, lambda row, f=f: row["family"] == f) for f in FAMILIES]
    for name, chosen in groups:
        found = [row for row in rows if chosen(row)]
        if found:
            lines.append(_means(f"{name} ({len({r['layer'] for r in found})})", found, by_layer))
    lines += [
        "",
        "| class and pass | lax as it comes / ours | strongest plain / ours | ours / PyTorch |",
        "|---|--:|--:|--:|",
    ]
    for family in FAMILIES:
        for each in PASSES:
            found = [r for r in rows if r["family"] == family and r["pass"] == each]
            if found:
                lines.append(_means(f"{family}, {each}", found, ratios))
    slower = [
        f"{r['layer']} {r['pass']}" for r in rows if r["bounds"][1] < 0.95 and not r["same_program"]
    ]
    lines += ["", f"Slower than lax as it comes (upper bound of the ratio below 0.95): "
              f"{', '.join(slower) or 'none'}."]  # fmt: skip
    heavier = [
        f"{r['layer']} {r['pass']} ({r['temp_mb']['ours']:.0f} MB, lax {r['temp_mb']['lax']:.0f}; "
        f"{r['ms']['lax'] / r['ms']['ours']:.1f} times as fast)"
        for r in rows
        if r["pass"] != "forward" and r["temp_mb"]["ours"] > 1.25 * r["temp_mb"]["lax"] + 1
    ]
    lines += ["", "Backward passes with more than 1.25 times lax's temporary memory and 1 MB: "
              f"{'; '.join(heavier) or 'none'}."]  # fmt: skip
    for library, ms in report.get("drop_in", {}).items():
        others = ", ".join(
            f"{name} {value:.0f} ms ({value / ms['ours']:.2f} times ours)"
            for name, value in ms.items()
            if name != "ours"
        )
        lines.append(
            f"A step of ResNet-18 in flax.{library} with ours dropped in {ms['ours']:.0f} ms, with "
            f"{others}."
        )
    return "\n".join(lines)


def _means(name: str, rows: list[Row], of: Callable[[list[Row], str], list[float]]) -> str:
    torch = of(rows, "torch")
    against = f"{1 / geometric_mean(torch):.2f}" if torch else ""
    return (
        f"| {name} | {geometric_mean(of(rows, 'lax')):.2f} | "
        f"{geometric_mean(of(rows, 'best')):.2f} | {against} |"
    )


def markdown(report: Row) -> str:
    """Returns the whole report as Markdown: command, machine, summary, and every row.

    Args:
        report: all results, as in OUT.json.
    """
    lines = [
        "# Layers, pass by pass",
        "",
        f"`{report['command']}`",
        "",
        f"{report['machine']}. Matrix-product peak {report['matmul_gflops']:.0f} GFLOP/s.",
        "Times in ms are medians of interleaved rounds, ratios are of those; ± is the 95 % bound "
        "of the ratio over lax as it comes. `=` marks rows where ours compiles to lax's program.",
        "",
        *([report["notes"], ""] if report.get("notes") else []),
        summary(report),
        "",
        "| layer | pass | ours | lax | plain | PyTorch | lax / ours | bounds | GFLOP/s | "
        "share of peak | temp MB: ours, lax | |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in report["rows"]:
        ms, temp = row["ms"], row["temp_mb"]
        torch = f"{ms['torch']:.3f}" if "torch" in ms else ""
        lines.append(
            f"| {row['layer']} | {row['pass']} | {ms['ours']:.3f} | {ms['lax']:.3f} | "
            f"{ms['plain']:.3f} | {torch} | {ms['lax'] / ms['ours']:.2f} | "
            f"{row['bounds'][0]:.2f} to {row['bounds'][1]:.2f} | {row['gflops']:.1f} | "
            f"{row['gflops'] / report['matmul_gflops']:.0%} | {temp['ours']:.1f}, "
            f"{temp['lax']:.1f} | {'=' if row['same_program'] else ''} |"
        )
    return "\n".join(lines) + "\n"


def chart(report: Row, path: pathlib.Path) -> None:
    """Draws the mean ratio of each class and pass as bars, on a logarithmic scale.

    Args:
        report: all results, as in OUT.json.
        path: of the image to write.
    """
    import matplotlib

    # A machine that runs benchmarks may have no display.
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows, bars = report["rows"], []
    for family in FAMILIES:
        for each in PASSES:
            found = [r for r in rows if r["family"] == family and r["pass"] == each]
            if found:
                bars.append((f"{family}, {each}", found))
    figure, axes = plt.subplots(figsize=(9, 0.34 * len(bars) + 1.6), layout="constrained")
    columns = (("lax", "lax as it comes"), ("best", "strongest plain"), ("torch", "PyTorch"))
    for offset, (base, label) in enumerate(columns):
        found = [(i, ratios(group, base)) for i, (_, group) in enumerate(bars)]
        found = [(i, geometric_mean(values)) for i, values in found if values]
        if not found:
            continue
        axes.barh(
            [i + 0.26 * (offset - 1) for i, _ in found],
            [value - 1 for _, value in found],
            left=1,
            height=0.25,
            label=f"{label} / ours",
        )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.invert_yaxis()
    axes.set_xlabel("times our time (geometric mean over the class's layers; right is better)")
    axes.set_title(report["machine"], fontsize=8)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
