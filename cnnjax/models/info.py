"""What a network expects, and the figures that it is held to: counted ones and printed ones."""

import dataclasses

TORCHVISION = "torchvision 0.28"


@dataclasses.dataclass(frozen=True)
class Published:
    """Figures as a paper or a library prints them, with its own digits.

    Attributes:
        source: "torchvision 0.28", or the place in the paper, such as "table 6".
        parameters: such as "25,557,032" or "38.6 M"; None where none are printed.
        multiply_adds: for one image, such as "4.089 G"; None where none are printed.
        heads: whether `parameters` counts the auxiliary heads too.
    """

    source: str
    parameters: str | None = None
    multiply_adds: str | None = None
    heads: bool = False


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What a network expects, and its figures.

    `parameters` and `multiply_adds` are reference figures: counted from the source's definition,
    layer by layer. `published` holds what is printed, which may differ.

    Example:
        >>> from cnnjax import models
        >>> info = models.model_info("fractalnet20")
        >>> info.parameters, info.published.parameters
        (33724618, '38.6 M')

    Attributes:
        name: registered name.
        source: the paper or reference implementation that defines the network.
        input_size: height, width and channels of the images.
        parameters: number of trainable parameters in the default configuration; None where nobody
            has counted them.
        multiply_adds: multiply-adds of convolutions and dense layers for one image, rounded, such
            as "724.4 M"; None where nobody has counted them.
        auxiliary_parameters: parameters of the auxiliary heads, which `parameters` does not count.
        errors: published errors in per cent, as text.
        mean, std: statistics of the input's channels, on the scale that the network expects.
        scale: the value of a white pixel before `mean` and `std` are applied (1 or 255).
        notes: how the network deviates from its source.
        published: the figures that a paper or a library prints; None where none does.
    """

    name: str
    source: str
    input_size: tuple[int, int, int]
    parameters: int | None
    multiply_adds: str | None = None
    auxiliary_parameters: int = 0
    errors: str | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    notes: str = ""
    published: Published | None = None


def torchvision_prints(
    parameters: int, multiply_adds: str | None, heads: bool = False
) -> Published:
    """Returns the figures of a network that torchvision publishes weights of.

    Args:
        parameters: as its weights state them ("num_params").
        multiply_adds: as its weights state them ("_ops"), such as "4.23 G".
        heads: whether `parameters` counts the auxiliary heads too.
    """
    number, _, unit = (multiply_adds or "").partition(" ")
    # Its numbers have no zeros at the end.
    short = f"{number.rstrip('0').rstrip('.')} {unit}" if multiply_adds else None
    return Published(TORCHVISION, f"{parameters:,}", short, heads)
