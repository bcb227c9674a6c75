"""The strides and dilations of a network's stages, also where later stages dilate instead."""

from typing import NamedTuple


class StageStrides(NamedTuple):
    """How a stage's 3x3 convolutions step.

    Attributes:
        strides: of the stage's first block.
        first_dilation: of that block.
        dilation: of the blocks after it.
        output: pixels of the image from one unit of the stage's maps to the next.
    """

    strides: int
    first_dilation: int
    dilation: int
    output: int


def stage_strides(count: int, first: int, output_stride: int | None = None) -> list[StageStrides]:
    """Returns the strides of stages of which each but the first halves the size.

    From `output_stride` on, a stage dilates its convolutions in place of halving. Its first block
    keeps the dilation of the stage before, as in torchvision.

    Args:
        count: number of stages.
        first: pixels of the image from one unit of the first stage's maps to the next.
        output_stride: the most pixels from one unit to the next; None for no limit.

    Example:
        >>> from cnnjax.models.blocks.stage_strides import stage_strides
        >>> [tuple(stage) for stage in stage_strides(4, 4, 8)]
        [(1, 1, 1, 4), (2, 1, 1, 8), (1, 1, 2, 8), (1, 2, 4, 8)]

    Source: Yu and Koltun, 2016; Chen et al., 2017 (DeepLab), section 3.1.
    """
    output, dilation = first, 1
    stages = [StageStrides(1, 1, 1, first)]
    for _ in range(1, count):
        before = dilation
        halves = output_stride is None or 2 * output <= output_stride
        if halves:
            output *= 2
        else:
            dilation *= 2
        stages.append(StageStrides(2 if halves else 1, before, dilation, output))
    return stages


def check_output_stride(net: str, first: int, output_stride: int | None) -> None:
    """Raises an error for a limit that no stage can keep.

    Args:
        net: class of the network, for the message.
        first: stride of the first stage's maps.
        output_stride: the limit, or None.

    Raises:
        ValueError: it is no power of two, or less than `first`.
    """
    if output_stride is None:
        return
    whole = isinstance(output_stride, int) and not isinstance(output_stride, bool)
    if not whole or output_stride < first or output_stride & (output_stride - 1):
        raise ValueError(
            f"{net}: output_stride must be None or a power of two from {first} on, such as "
            f"{2 * first}, got {output_stride!r}"
        )
