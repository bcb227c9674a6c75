"""The operations on the edges of a cell, by name; own ones are registered beside them."""

import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.models.initializers import SCHEMES
from cnnjax.parts import PartError, Registry

Maps = Float[Array, "batch height width channels"]
Moved = Float[Array, "batch rows columns features"]

_NAME = re.compile(r"[\w.-]+", re.ASCII)


class Operation(linen.Module):
    """An operation of a cell: feature maps in, `features` maps out, smaller by the stride.

    A subclass writes `__call__(x, train=False)`. Its inputs have `features` channels.

    Attributes:
        features: number of channels.
        strides: 1, or 2 on the edges from the inputs of a reduction cell.
        dtype: dtype of the computation.
        backward: "ours" for the backward rules of `cnnjax.ops`, "native" for lax's autodiff.
    """

    features: int
    strides: int = 1
    dtype: Any = jnp.float32
    backward: str = "ours"

    def conv(self, kernel: int, **fields: Any) -> nn.Conv:
        """Returns a convolution without a bias, for the norm that follows.

        Args:
            kernel: height and width of the kernel.
            **fields: further fields of `nn.Conv`.
        """
        return nn.Conv(
            self.features,
            (kernel, kernel),
            use_bias=False,
            dtype=self.dtype,
            backward=self.backward,
            kernel_init=SCHEMES["he"].conv,
            **fields,
        )

    def norm(self, train: bool) -> nn.BatchNorm:
        """Returns a batch norm.

        Args:
            train: whether it uses the batch's statistics.
        """
        return nn.BatchNorm(
            use_running_average=not train, dtype=self.dtype, backward=self.backward, name="bn"
        )


OPERATIONS: Registry[type[Operation]] = Registry(
    "cell operation", example="my_package.operations:Shuffle"
)
"""The operations by name."""

Made = TypeVar("Made", bound=type[Operation])


def register_operation(name: str, *, replace: bool = False) -> Callable[[Made], Made]:
    """Returns a decorator that registers an operation of cells, a subclass of `Operation`.

    Args:
        name: how genomes name it: letters, digits, "_", "-" and ".".
        replace: whether it takes the place of another one of that name.

    Raises:
        ValueError: the name has another character or is taken, or the class is no `Operation`.

    Example:
        >>> from cnnjax import ops, search
        >>> @search.register_operation("double", replace=True)
        ... class Double(search.Operation):
        ...     def __call__(self, x, train=False):
        ...         return 2 * x[:, :: self.strides, :: self.strides]
        >>> "double" in search.OPERATIONS
        True
    """
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ValueError(
            f"register_operation: {name!r} can't be a name in the text of a genome; use letters "
            "a-z, digits, '_', '-' and '.'"
        )

    def enter(made: Made) -> Made:
        if not (isinstance(made, type) and issubclass(made, Operation)):
            raise ValueError(
                f"register_operation: {name!r} is {made!r}; derive a class from search.Operation"
            )
        OPERATIONS.add(name, made, replace=replace)
        return made

    return enter


def find_operation(name: str) -> type[Operation]:
    """Returns the operation of a name.

    Args:
        name: a registered name, or a path such as "my_package.operations:Shuffle".

    Raises:
        PartError: there is no such operation, or something else is at the path.
    """
    found: Any = OPERATIONS.get(name)
    if not (isinstance(found, type) and issubclass(found, Operation)):
        raise PartError(
            f"cell operation {name!r} is {found!r}; give the path of a class that is derived from "
            "search.Operation"
        )
    return found


class _Convolution(Operation):
    """Rectifier, convolution, batch norm."""

    kernel: ClassVar[int] = 3
    dilation: ClassVar[int] = 1

    @linen.compact
    def __call__(self, x: Maps, train: bool = False) -> Moved:
        """Convolves.

        Args:
            x: feature maps.
            train: whether the batch norm uses the batch's statistics.
        """
        conv = self.conv(
            self.kernel, strides=self.strides, kernel_dilation=self.dilation, name="conv"
        )
        return self.norm(train)(conv(ops.relu(x)))


@register_operation("conv_1x1")
class Conv1x1(_Convolution):
    """Rectifier, 1x1 convolution, batch norm."""

    kernel = 1


@register_operation("conv_3x3")
class Conv3x3(_Convolution):
    """Rectifier, 3x3 convolution, batch norm."""


@register_operation("conv_5x5")
class Conv5x5(_Convolution):
    """Rectifier, 5x5 convolution, batch norm."""

    kernel = 5


@register_operation("dilated_3x3")
class Dilated3x3(_Convolution):
    """Rectifier, 3x3 convolution of every other pixel, batch norm."""

    dilation = 2


class _Separable(Operation):
    """Rectifier, depthwise convolution, 1x1 convolution, batch norm."""

    kernel: ClassVar[int] = 3

    @linen.compact
    def __call__(self, x: Maps, train: bool = False) -> Moved:
        """Convolves.

        Args:
            x: feature maps.
            train: whether the batch norm uses the batch's statistics.
        """
        conv = nn.SeparableConv(
            self.features,
            (self.kernel, self.kernel),
            strides=self.strides,
            use_bias=False,
            dtype=self.dtype,
            backward=self.backward,
            kernel_init=SCHEMES["he"].conv,
            name="conv",
        )
        return self.norm(train)(conv(ops.relu(x)))


@register_operation("separable_3x3")
class Separable3x3(_Separable):
    """Rectifier, depthwise 3x3 convolution, 1x1 convolution, batch norm."""


@register_operation("separable_5x5")
class Separable5x5(_Separable):
    """Rectifier, depthwise 5x5 convolution, 1x1 convolution, batch norm."""

    kernel = 5


@register_operation("max_3x3")
class Max3x3(Operation):
    """Maximum over windows of 3x3."""

    @linen.compact
    def __call__(self, x: Maps, train: bool = False) -> Moved:
        """Pools.

        Args:
            x: feature maps.
            train: not used.
        """
        del train
        return nn.MaxPool(3, self.strides, padding="SAME", backward=self.backward, name="pool")(x)


@register_operation("average_3x3")
class Average3x3(Operation):
    """Average over windows of 3x3, in which padding does not count."""

    @linen.compact
    def __call__(self, x: Maps, train: bool = False) -> Moved:
        """Pools.

        Args:
            x: feature maps.
            train: not used.
        """
        del train
        return nn.AvgPool(
            3,
            self.strides,
            padding="SAME",
            count_include_pad=False,
            backward=self.backward,
            name="pool",
        )(x)


@register_operation("identity")
class Identity(Operation):
    """The input itself; with a stride, a 1x1 convolution that reads every other pixel."""

    @linen.compact
    def __call__(self, x: Maps, train: bool = False) -> Moved:
        """Returns the input.

        Args:
            x: feature maps.
            train: whether the batch norm uses the batch's statistics.
        """
        if self.strides == 1:
            return x
        return self.norm(train)(self.conv(1, strides=self.strides, name="conv")(ops.relu(x)))
