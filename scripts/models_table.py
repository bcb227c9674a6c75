"""Writes docs/models.md: counts of every registered network, beside its published figures.

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

INTRODUCTION = """# Networks

Written by `python -m scripts.models_table`; do not edit.

Parameters are the trainable ones; those of auxiliary heads are in brackets. Multiply-adds are those
of convolutions and dense layers for one image, products with padding included. The difference is
the count minus the published figure, rounded to the published digits. Errors are published ones in
per cent, not measured here.

| network | input | parameters | published | difference | multiply-adds | published | difference |
|---|---|--:|--:|--:|--:|--:|--:|
"""

# Published networks that `create_model` makes, but `list_models` does not list.
DEEP = ("preact_resnet1001_cifar", "resnet1202_cifar")

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def size(tree) -> int:
    """Returns the number of values in a tree of shapes.

    Args:
        tree: arrays or shapes.
    """
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def difference(count: int, published: str) -> str:
    """Returns the count minus a published figure, in the figure's own digits and unit.

    Args:
        count: what was counted.
        published: the figure, such as "724.4 M".
    """
    number, _, unit = published.replace(",", "").partition(" ")
    decimals = len(number.partition(".")[2])
    off = round(count / UNITS[unit], decimals) - float(number)
    return f"{off:+.{decimals}f} {unit}".strip() if round(off, decimals) else "0"


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
    return [
        f"`{name}`" + (f", {variant}" if variant else ""),
        "x".join(map(str, info.input_size)),
        f"{parameters:,}" + (f" (+{heads:,})" if heads else ""),
        *published(parameters, None if info.parameters is None else f"{info.parameters:,}"),
        f"{count:,}",
        *published(count, info.multiply_adds),
    ]


def published(count: int, figure: str | None) -> tuple[str, str]:
    """Returns the cells of a published figure and of the difference from it.

    Args:
        count: what was counted.
        figure: what is published, or None.
    """
    return (figure, difference(count, figure)) if figure else ("", "")


def notes(name: str) -> str:
    """Returns a line with a network's source, its errors and its deviations.

    Args:
        name: of the network.
    """
    info = models.model_info(name)
    parts = [info.source, info.errors and f"errors: {info.errors}", info.notes]
    return f"- `{name}`: " + "; ".join(part.rstrip(".") for part in parts if part) + "."


def table() -> str:
    """Returns the whole page."""
    names = [*models.list_models(), *DEEP]
    rows = []
    for name in names:
        rows.append(default := row(name, None))
        variants = [row(name, variant) for variant in models.list_variants(name)]
        # A variant with the same figures has no line of its own.
        rows.extend(variant for variant in variants if variant[1:] != default[1:])
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    sources = [notes(name) for name in names]
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
