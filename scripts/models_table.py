"""Writes docs/models.md: counts of every registered network, beside reference and printed figures.

    python -m scripts.models_table

Nothing is compiled: parameters and multiply-adds come from shapes.
"""

import argparse
import math
import pathlib

import jax
import jax.numpy as jnp

from cnnjax import models
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from cnnjax.models.info import Published

INTRODUCTION = """# Networks

Written by `python -m scripts.models_table`; do not edit.

Parameters are the trainable ones; those of auxiliary heads follow a plus sign. Multiply-adds are
those of convolutions and dense layers for one image, products with padding included.

A reference figure is counted from the paper's or the library's definition, layer by layer; tests
hold the networks to it. A published figure is one that a paper or a library prints, with its
digits; where the count differs, the difference (count minus figure, in these digits) follows in
brackets. The sources below name the place. Errors are published ones in per cent, not measured
here.

[Choices](choices.md) are the parts of these networks that can be exchanged: activation,
normalization, padding, the form of an Inception module.

| network | input | parameters | reference | published | multiply-adds | reference | published |
|---|---|--:|--:|--:|--:|--:|--:|
"""

# Published networks that `create_model` makes, but `list_models` does not list.
DEEP = (
    "densenet_bc190_40_cifar",
    "densenet_bc250_24_cifar",
    "densenet100_24_cifar",
    "preact_resnet1001_cifar",
    "resnet1202_cifar",
)

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def size(tree) -> int:
    """Returns the number of values in a tree of shapes.

    Args:
        tree: arrays or shapes.
    """
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def difference(count: int, figure: str) -> str:
    """Returns the count minus a figure, in the figure's own digits and unit; "" if it is 0.

    Args:
        count: what was counted.
        figure: the figure, such as "724.4 M".
    """
    number, _, unit = figure.replace(",", "").partition(" ")
    decimals = len(number.partition(".")[2])
    off = round(count / UNITS[unit], decimals) - float(number)
    return f"{off:+.{decimals}f} {unit}".strip() if round(off, decimals) else ""


def row(name: str, variant: str | None) -> list[str]:
    """Returns the cells of one line of the table, the name first.

    Args:
        name: of the network.
        variant: of the network, or None.
    """
    model, info = models.create_model(name, variant=variant), models.model_info(name, variant)
    images = jax.ShapeDtypeStruct((1, *info.input_size), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    heads = size({k: v for k, v in variables["params"].items() if k.startswith("aux")})
    parameters = size(variables["params"]) - heads
    count = multiply_adds(model, info.input_size, variables=variables)
    printed = info.published or Published("")
    return [
        f"`{name}`" + (f", {variant}" if variant else ""),
        "x".join(map(str, info.input_size)),
        f"{parameters:,}" + (f" (+{heads:,})" if heads else ""),
        cell(parameters, None if info.parameters is None else f"{info.parameters:,}"),
        cell(parameters + heads * printed.heads, printed.parameters),
        f"{count:,}",
        cell(count, info.multiply_adds),
        cell(count, printed.multiply_adds),
    ]


def cell(count: int, figure: str | None) -> str:
    """Returns a figure and, if the count differs, the difference in brackets.

    Args:
        count: what was counted.
        figure: what it is compared with, or None.
    """
    if figure is None:
        return ""
    off = difference(count, figure)
    return f"{figure} ({off})" if off else figure


def notes(name: str, variant: str | None) -> str:
    """Returns a line with a network's source, the place of printed figures, errors and deviations.

    Args:
        name: of the network.
        variant: of the network, or None.
    """
    info = models.model_info(name, variant)
    printed = info.published
    parts = [
        info.source,
        printed and f"printed in {printed.source}" + (" (with heads)" if printed.heads else ""),
        info.errors and f"errors: {info.errors}",
        info.notes,
    ]
    heading = f"- `{name}`" + (f", {variant}" if variant else "")
    return f"{heading}: " + "; ".join(part.rstrip(".") for part in parts if part) + "."


def table() -> str:
    """Returns the whole page."""
    names = [*models.list_models(), *DEEP]
    rows, sources = [], []
    for name in names:
        rows.append(default := row(name, None))
        sources.append(source := notes(name, None))
        for variant in models.list_variants(name):
            # A variant with the same figures has no line of its own, nor one of the same source.
            if (cells := row(name, variant))[1:] != default[1:]:
                rows.append(cells)
            line = notes(name, variant)
            if line.partition(": ")[2] != source.partition(": ")[2]:
                sources.append(line)
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return INTRODUCTION + "\n".join([*lines, "", "## Sources and deviations", "", *sources, ""])


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description="Writes the table of networks.")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("docs/models.md"))
    output = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(table())
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
