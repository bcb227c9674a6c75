"""Plots of the arrays that the analysis returns; each is a `matplotlib` figure.

Colors are Okabe and Ito's, maps are viridis and PuOr: distinguishable with every kind of color
vision.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from cnnjax.analysis.behavior.invariance import InvarianceCurve
from cnnjax.analysis.cost.layer_rows import Row
from cnnjax.analysis.looks.kernels import kernel_pictures
from cnnjax.extras import installed_with

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def plot_kernels(
    kernel: Float[ArrayLike, "height width in out"], title: str = "", *, limit: int = 64
) -> Any:
    """Draws a convolution's kernels: in color for three input channels, else one for each pair.

    Args:
        kernel: [height, width, in_channels, out_channels].
        title: a line above.
        limit: the largest number of pictures; of more, the first ones are drawn, and the title
            gives their number.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: the kernel does not have four dimensions.
    """
    pictures = kernel_pictures(np.asarray(kernel))
    gray = pictures.shape[-1] == 1
    maps = pictures[..., 0].transpose(1, 2, 0) if gray else pictures
    return plot_maps(maps, title, signed=gray, limit=limit)


def plot_maps(maps: ArrayLike, title: str = "", *, signed: bool = False, limit: int = 64) -> Any:
    """Draws maps side by side, on one scale.

    Args:
        maps: [height, width, channels], one map a channel; or [maps, height, width, 3], colors.
        title: a line above.
        signed: whether 0 is the middle of the scale.
        limit: the largest number of maps; of more, the first ones are drawn, and the title gives
            their number.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: the array has another rank, or no maps.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure

    array = np.asarray(maps)
    if array.ndim not in (3, 4) or not array.size:
        raise ValueError(
            f"plot_maps: maps of shape {array.shape}; expected [height, width, channels] of one "
            "image, or [maps, height, width, 3]"
        )
    tiles = array if array.ndim == 4 else array.transpose(2, 0, 1)
    if len(tiles) > limit:
        title = f"{title}\n".lstrip() + f"the first {limit} of {len(tiles):,}"
        tiles = tiles[:limit]
    columns = min(len(tiles), 8)
    rows = math.ceil(len(tiles) / columns)
    figure = Figure(figsize=(1.15 * columns + 0.6, 1.15 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    # The scale is that of all maps, not of the drawn ones alone.
    largest = float(np.abs(array).max())
    low, high = (-largest, largest) if signed else (float(array.min()), float(array.max()))
    shown = None
    # Places of the grid without a map stay empty too.
    for axes in grid.flat:
        axes.axis("off")
    for axes, tile in zip(grid.flat, tiles, strict=False):
        colors = "PuOr" if signed else "viridis"
        shown = axes.imshow(tile, cmap=colors, vmin=low, vmax=high)
    if array.ndim == 3 and shown is not None:
        figure.colorbar(shown, ax=grid, shrink=0.8)
    figure.suptitle(title, fontsize=11)
    return figure


def plot_gallery(
    pictures: Sequence[Sequence[ArrayLike]],
    columns: Sequence[str],
    rows: Sequence[str],
    title: str = "",
) -> Any:
    """Draws pictures in rows and columns, each on its own scale.

    Args:
        pictures: by row and column: [height, width], drawn in viridis, or [height, width, 1 or 3],
            drawn in gray or as colors.
        columns: a heading for each column.
        rows: a name for each row.
        title: a line above.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: there are more or fewer pictures than rows and columns.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 * len(columns) + 0.9, 1.5 * len(rows) + 0.7), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, name, shown in zip(grid, rows, pictures, strict=True):
        for axes, picture in zip(line, shown, strict=True):
            array = np.asarray(picture)
            gray = array.ndim == 3 and array.shape[-1] == 1
            axes.imshow(array[..., 0] if gray else array, cmap="gray" if gray else "viridis")
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, fontsize=10)
    for axes, heading in zip(grid[0], columns, strict=True):
        axes.set_title(heading, fontsize=10)
    figure.suptitle(title, fontsize=11)
    return figure


def plot_overlay(
    image: Float[ArrayLike, "height width channels"],
    heat: Float[ArrayLike, "rows columns"],
    title: str = "",
    *,
    row: Row | None = None,
) -> Any:
    """Draws an image, and beside it the same image with a map over it.

    For saliency, Grad-CAM, occlusion and effective receptive fields.

    Args:
        image: values in 0..1.
        heat: the map, enlarged to the image where it is smaller.
        title: a line above.
        row: a layer's row of a summary: the receptive field of the layer's middle unit, counted
            from shapes, is drawn as a box.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

    picture = np.asarray(image)
    height, width = picture.shape[:2]
    figure = Figure(figsize=(7.4, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    # The map is stretched over the image, whose pixels have their centers at whole numbers.
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    gray = picture.shape[-1] == 1
    for axes in (left, right):
        axes.imshow(picture[..., 0] if gray else picture, cmap="gray", extent=extent)
        axes.axis("off")
    shown = right.imshow(np.asarray(heat), cmap="viridis", alpha=0.8, extent=extent)
    figure.colorbar(shown, ax=right, shrink=0.8)
    if row is not None and row.field and row.stride and row.padding:
        top, start = (
            (size // 2) * stride - padding
            for size, stride, padding in zip(row.shape[:2], row.stride, row.padding, strict=True)
        )
        right.add_patch(
            Rectangle(
                (start - 0.5, top - 0.5), row.field[1], row.field[0], fill=False, edgecolor="white"
            )
        )
    figure.suptitle(title, fontsize=11)
    return figure


def plot_invariance(curves: Sequence[InvarianceCurve]) -> Any:
    """Draws accuracy and probability of the true class against the amount of each change.

    Args:
        curves: the curves, one for each panel.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure

    units = {"shift": "pixels to the right", "rotation": "degrees", "scale": "enlargement"}
    figure = Figure(figsize=(4 * len(curves), 3.2), layout="constrained")
    for axes, curve in zip(np.atleast_1d(figure.subplots(1, len(curves))), curves, strict=True):
        axes.plot(curve.amounts, 100 * curve.accuracy, "o-", color=COLORS[0], label="accuracy")
        axes.plot(
            curve.amounts, 100 * curve.probability, "s--", color=COLORS[1], label="probability"
        )
        axes.set_xlabel(units[curve.change])
        axes.set_ylabel("%")
        axes.set_title(curve.change)
        axes.grid(True, alpha=0.3)
        axes.legend(frameon=False)
    return figure


def plot_field_stack(stacks: Mapping[str, Sequence[int]], channels: int = 64) -> Any:
    """Draws the receptive fields of stacks of square kernels, with their numbers of weights.

    Args:
        stacks: name to kernel sizes, from the first layer to the last, all of stride 1.
        channels: input and output channels of each layer, for the number of weights.

    Returns:
        A `matplotlib.figure.Figure`.

    Source: Simonyan and Zisserman, 2014, section 2.3.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

    figure = Figure(figsize=(4.2 * len(stacks), 4.4), layout="constrained")
    widest = max(1 + sum(k - 1 for k in sizes) for sizes in stacks.values())
    for axes, (name, sizes) in zip(
        np.atleast_1d(figure.subplots(1, len(stacks))), stacks.items(), strict=True
    ):
        for line in range(widest + 1):
            axes.axhline(line, color="#bbbbbb", linewidth=0.7)
            axes.axvline(line, color="#bbbbbb", linewidth=0.7)
        side = 1 + sum(k - 1 for k in sizes)
        for number, kernel in enumerate(sizes):
            # In the middle of the widest stack, so that sizes can be compared.
            corner = (widest - side) / 2
            axes.add_patch(
                Rectangle(
                    (corner, corner),
                    side,
                    side,
                    facecolor=COLORS[number % len(COLORS)],
                    alpha=0.35,
                    edgecolor="black",
                )
            )
            axes.text(corner + 0.12, corner + side - 0.42, f"{side}x{side}", fontsize=10)
            side -= kernel - 1
        weights = sum(k * k for k in sizes)
        axes.set_title(f"{name}: {weights}C² = {weights * channels**2:,} weights")
        axes.set(xlim=(0, widest), ylim=(0, widest), aspect="equal", xticks=[], yticks=[])
    figure.suptitle(f"What the last unit sees, layer by layer; C = {channels}")
    return figure


def plot_embedding(canvas: Float[np.ndarray, "side side channels"], title: str = "") -> Any:
    """Draws a canvas of `embedding.canvas` with a title.

    Args:
        canvas: values in 0..1, gray or RGB.
        title: a line above.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(canvas[..., 0] if canvas.shape[-1] == 1 else canvas, cmap="gray")
    axes.axis("off")
    axes.set_title(title)
    return figure
