"""What a convolution is besides its arrays, checked once and hashable: `ConvSpec`."""

from __future__ import annotations

import dataclasses

from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.checks import check_count, check_elements, is_int, pair
from cnnjax.ops.conv import onednn
from cnnjax.ops.conv.batch_axis import BatchAxis, current_axis


@dataclasses.dataclass(frozen=True)
class ConvSpec:
    """What defines a convolution besides its arrays.

    Attributes:
        strides: steps between windows, (rows, columns).
        padding: zeros added, ((top, bottom), (left, right)) in pixels.
        dilation: steps between kernel taps, (rows, columns).
        groups: number of blocks that channels and filters are cut into.
        precision: lax's precision of the products.
        algorithm: the name of the forced algorithm, or None.
        batch_axis: the mesh axis along which a grouped convolution is cut, see `batch_axis.py`. It
            is read when the convolution is called: its gradients may be traced after the block.
        onednn: whether the program is compiled with calls of oneDNN, see `onednn.py`; also read at
            the call.
    """

    strides: sizes.Pair
    padding: sizes.Pads
    dilation: sizes.Pair
    groups: int
    precision: lax.PrecisionLike = None
    algorithm: str | None = None
    batch_axis: BatchAxis | None = None
    onednn: bool = False

    def output_size(self, input_size: sizes.Size, kernel_size: sizes.Size) -> sizes.Pair:
        """Returns the output height and width.

        Args:
            input_size: height and width of the images.
            kernel_size: height and width of the kernel before dilation.
        """
        return sizes.checked_output_size(
            "conv2d", input_size, kernel_size, self.strides, self.padding, self.dilation
        )


def parse(
    op: str,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    *,
    strides: sizes.PairLike,
    padding: sizes.PaddingLike,
    dilation: sizes.PairLike,
    groups: int,
    precision: lax.PrecisionLike = None,
    algorithm: str | None = None,
) -> ConvSpec:
    """Returns the checked specification of a convolution of these shapes.

    Args:
        op: the calling function, for the messages.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
        strides: an int or a pair.
        padding: as in `sizes.resolve_padding`.
        dilation: an int or a pair.
        groups: number of blocks that channels and filters are cut into.
        precision: lax's precision of the products.
        algorithm: the forced algorithm, or None.

    Raises:
        ValueError: an argument is out of range; the message names it, what was given, what is
            allowed and how to fix it.
    """
    check_shapes(op, input_shape, kernel_shape, groups)
    strides = pair(op, "strides", strides)
    dilation = pair(op, "dilation", dilation)
    size, window = input_shape[1:3], kernel_shape[:2]
    pads = sizes.resolve_padding(op, padding, size, window, strides, dilation)
    _check_elements(op, input_shape, kernel_shape, strides, pads, dilation)
    axis = batch_axis_of(groups)
    return ConvSpec(strides, pads, dilation, groups, precision, algorithm, axis, onednn.in_use())


def _check_elements(op, input_shape, kernel_shape, strides, pads, dilation) -> None:
    """Checks that the output exists, and that it and what is read fit in memory."""
    size, window = input_shape[1:3], kernel_shape[:2]
    out = sizes.checked_output_size(op, size, window, strides, pads, dilation)
    arguments = dict(padding=pads, strides=strides, dilation=dilation)
    # Some algorithms cut the images into blocks of a stride.
    padded = [n + low + high for n, (low, high) in zip(size, pads, strict=True)]
    read = [max(n, s) if is_int(n) else n for n, s in zip(padded, strides, strict=True)]
    shape = (input_shape[0], *read, input_shape[3])
    check_elements(op, "the padded images", shape, **arguments)
    check_elements(op, "the output", (input_shape[0], *out, kernel_shape[3]), **arguments)


def batch_axis_of(groups: int) -> BatchAxis | None:
    """Returns the mesh axis along which a convolution is to be cut, or None.

    Args:
        groups: of the convolution; one with a single group is never cut.
    """
    return current_axis() if groups > 1 else None


def check_shapes(
    op: str, input_shape: tuple[int, ...], kernel_shape: tuple[int, ...], groups: int
) -> None:
    """Raises a ValueError unless images, kernel and groups fit each other.

    Args:
        op: the calling function, for the messages.
        input_shape: of the images.
        kernel_shape: of the kernel.
        groups: number of blocks that channels and filters are cut into.
    """
    for name, shape, meaning in (
        ("x", input_shape, "(batch, height, width, channels)"),
        ("kernel", kernel_shape, "(height, width, channels / groups, filters)"),
    ):
        if len(shape) != 4:
            raise ValueError(
                f"{op}: {name} must have 4 dimensions {meaning}, got shape {shape}; "
                "add the missing axes or use jax.vmap"
            )
    channels, filters = input_shape[3], kernel_shape[3]
    check_count(op, "groups", groups)
    if channels % groups or filters % groups:
        raise ValueError(
            f"{op}: groups={groups} must divide the {channels} channels of x and the {filters} "
            "filters of the kernel"
        )
    if kernel_shape[2] * groups != channels:
        raise ValueError(
            f"{op}: kernel shape {kernel_shape} with groups={groups} takes "
            f"{kernel_shape[2] * groups} channels, but x has {channels}; the third kernel axis "
            f"must be channels / groups = {channels // groups}"
        )
    if 0 in kernel_shape:
        raise ValueError(f"{op}: the kernel is empty, shape {kernel_shape}")
