"""What a convolution is besides its arrays, checked once and hashable: `ConvSpec`."""

from __future__ import annotations

import dataclasses

from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.conv.batch_axis import BatchAxis, current_axis


@dataclasses.dataclass(frozen=True)
class ConvSpec:
    """Strides, zero padding in pixels, dilation, groups, precision and the forced algorithm.

    `batch_axis` is where a grouped convolution is cut, see `batch_axis.py`. It is taken when the
    convolution is called: its gradients may be traced after the block has been left.
    """

    strides: sizes.Pair
    padding: sizes.Pads
    dilation: sizes.Pair
    groups: int
    precision: lax.PrecisionLike = None
    algorithm: str | None = None
    batch_axis: BatchAxis | None = None

    def output_size(self, input_size: sizes.Size, kernel_size: sizes.Size) -> sizes.Pair:
        """Returns the output height and width."""
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
        groups: how many blocks the channels and the filters are cut into.
        precision: lax's precision of the products.
        algorithm: the forced algorithm, or None.

    Raises:
        ValueError: with the argument, what was given, what is allowed and the mend.
    """
    check_shapes(op, input_shape, kernel_shape, groups)
    strides = sizes.pair(op, "strides", strides)
    dilation = sizes.pair(op, "dilation", dilation)
    size, window = input_shape[1:3], kernel_shape[:2]
    pads = sizes.resolve_padding(op, padding, size, window, strides, dilation)
    sizes.checked_output_size(op, size, window, strides, pads, dilation)
    return ConvSpec(strides, pads, dilation, groups, precision, algorithm, batch_axis_of(groups))


def batch_axis_of(groups: int) -> BatchAxis | None:
    """Returns the axis along which a convolution of that many groups is to be cut, or None."""
    return current_axis() if groups > 1 else None


def check_shapes(
    op: str, input_shape: tuple[int, ...], kernel_shape: tuple[int, ...], groups: int
) -> None:
    """Raises a ValueError unless images, kernel and groups fit each other."""
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
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        raise ValueError(f"{op}: groups must be an int of at least 1, got {groups!r}")
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
