"""Writes docs/results/pooling_cost.md: what pooling saves in networks for each pixel.

    python -m scripts.pooling_cost

Nothing is compiled or measured: all figures come from shapes, by `cnnjax.analysis.summarize`.
"""

import argparse
import pathlib
from typing import Any

from cnnjax import analysis, models
from cnnjax.analysis.cost.summary import Summary

PAGE = pathlib.Path("docs/results/pooling_cost.md")

INTRODUCTION = """# What pooling saves

Written by `python -m scripts.pooling_cost`; do not edit. Counted from shapes, not measured.

A U-Net of base width 16 and nets that never pool, whose 3x3 convolutions all work at the images'
own size, with eleven classes. `unet` pools four times. `naive_dense` is compared with it at equal
cost, at an equal receptive field, and at an equal number of channels where the U-Net has most.
The field is the side of the square of pixels that a pixel's scores depend on. Kept bytes are what a
training step in float32 keeps of one image for its backward pass; bytes forward are those of the
input and of all outputs. Ratios are to the U-Net at the same size.

| network | images | parameters | multiply-adds | ratio | forward | kept | ratio | field |
|---|---|--:|--:|--:|--:|--:|--:|--:|
"""

CLASSES = 11
UNET: tuple[str, dict[str, Any]] = ("unet", {"base": 16})
SIDES = (64, 256)


def naive_forms(side: int, unet: Summary) -> dict[str, dict[str, Any]]:
    """Returns the fields of the nets without pooling, by what they have in common with the U-Net.

    Args:
        side: of the images.
        unet: the U-Net's summary.
    """
    field = unet.rows[-1].field
    assert field is not None
    # A 3x3 convolution sees two pixels more than the one before.
    deep = (field[0] - 1) // 2
    return {
        "equal multiply-adds": {},
        "equal field": {"depth": deep},
        "equal multiply-adds and field": {"depth": deep, "width": 7},
        "equal channels": {"width": 256},
    }


def cells(name: str, summary: Summary, unet: Summary) -> str:
    """Returns a line of the table.

    Args:
        name: of the network, with its fields.
        summary: its summary.
        unet: the U-Net's at the same size.
    """
    field = summary.rows[-1].field
    shown = (
        name,
        "x".join(map(str, summary.input_shape)),
        f"{summary.parameters:,}",
        f"{summary.multiply_adds / 1e6:,.1f} M",
        f"{summary.multiply_adds / unet.multiply_adds:.2f}",
        f"{summary.bytes_forward / 1e6:,.2f} MB",
        f"{summary.bytes_kept / 1e6:,.2f} MB",
        f"{summary.bytes_kept / unet.bytes_kept:.2f}",
        "" if field is None else "x".join(map(str, dict.fromkeys(field))),
    )
    return f"| {' | '.join(shown)} |"


def table(sides: tuple[int, ...] = SIDES) -> str:
    """Returns the page.

    Args:
        sides: of the images.
    """
    lines = []
    for side in sides:
        size = (side, side, 3)

        def summary(name: str, fields: dict[str, Any], size: Any = size) -> Summary:
            return analysis.summarize(models.create_model(name, CLASSES, **fields), size)

        unet = summary(*UNET)
        lines.append(cells("`unet(base=16)`", unet, unet))
        for what, fields in naive_forms(side, unet).items():
            shown = ", ".join(f"{key}={value}" for key, value in fields.items())
            name = f"`naive_dense({shown})`, {what}"
            lines.append(cells(name, summary("naive_dense", fields), unet))
    return INTRODUCTION + "\n".join([*lines, ""])


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description="Writes what pooling saves.")
    parser.add_argument("--output", type=pathlib.Path, default=PAGE)
    output = parser.parse_args().output
    output.write_text(table())
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
