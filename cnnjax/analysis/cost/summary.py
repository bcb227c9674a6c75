"""What each layer of a network costs, and what it sees: counted from shapes, nothing is run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.analysis.calls import check_names, evaluation_arguments
from cnnjax.analysis.cost.kept import INPUT, kept_bytes
from cnnjax.analysis.cost.layer_rows import Row, layer_rows
from cnnjax.analysis.cost.operations import trace_operations


@dataclass(frozen=True)
class Summary:
    """The rows of a network, the input first, and what they come to.

    Attributes:
        model: name of the model.
        input_shape: shape of one image.
        rows: in the order of computation.
        other_parameters: parameters of modules that evaluation does not call, such as auxiliary
            heads; they are in no row.
        xla_multiply_adds: half of XLA's own count of floating-point operations, where asked for.
    """

    model: str
    input_shape: tuple[int, ...]
    rows: tuple[Row, ...]
    other_parameters: int = 0
    xla_multiply_adds: int | None = None

    @property
    def parameters(self) -> int:
        """Trainable parameters of the layers."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and matrix products for one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def values(self) -> int:
        """Numbers in the input and all outputs for one image."""
        return sum(row.values for row in self.rows)

    @property
    def bytes_forward(self) -> int:
        """Bytes of the input and all outputs for one image."""
        return sum(row.bytes_forward for row in self.rows)

    @property
    def bytes_kept(self) -> int:
        """Bytes for one image that a training step keeps until the backward pass."""
        return sum(row.bytes_kept for row in self.rows)

    def row(self, layer: str) -> Row:
        """The row of a layer; of a module that calls others, such as a block, the last one in it.

        Raises:
            KeyError: there is no such layer; the message gives the nearest.
        """
        found = [r for r in self.rows if r.name == layer or r.name.startswith(f"{layer}/")]
        check_names([] if found else [layer], [r.name for r in self.rows], f"row of {self.model}")
        return found[-1]

    def __str__(self) -> str:
        # The formats are built on this class.
        from cnnjax.analysis.cost.summary_formats import format_summary

        return format_summary(self)


def summarize(
    model: linen.Module,
    input_shape: Sequence[int],
    *,
    dtype: Any = jnp.float32,
    variables: Any = None,
    kept: bool = True,
    xla: bool = False,
    name: str | None = None,
    **apply_arguments: Any,
) -> Summary:
    """A row for each layer of any Flax model: parameters, multiply-adds, memory, receptive field.

    Everything is counted from shapes. Outputs of convolutions, dense layers, pools, norms,
    additions and concatenations are counted; activation functions work in place.

    Args:
        model: any Flax module that takes one array of images.
        input_shape: height, width and channels of an image, without the batch; or the length of a
            vector.
        dtype: dtype of the images.
        variables: the model's variables or their shapes; None initializes by shapes.
        name: what to call the model; None means its class.
        kept: whether `bytes_kept` is counted, which traces the training step too.
        xla: whether XLA is asked for its count too, which lowers (but does not compile) the model.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The summary.

    Raises:
        TypeError: `__call__` needs arguments that were not given.
        ValueError: the shape is not one of positive integers, or the model refuses it.
    """
    shape = tuple(input_shape)
    whole = all(isinstance(n, (int, np.integer)) and n > 0 for n in shape)
    if len(shape) not in (1, 3) or not whole:
        raise ValueError(
            f"summarize: input_shape {input_shape!r} must be three positive integers, the height, "
            "width and channels of one image without the batch, or one for a vector"
        )
    images = jax.ShapeDtypeStruct((1, *shape), dtype)
    if variables is None:
        variables = shape_variables(model, images, apply_arguments)
    trace = trace_operations(model, variables, images, **apply_arguments)
    rows, others = layer_rows(trace, variables.get("params", {}))
    values = math.prod(shape)
    first = Row(INPUT, INPUT, shape, values=values, bytes_forward=values * images.dtype.itemsize)
    layers = {row.name for row in rows}
    saved = kept_bytes(model, variables, images, apply_arguments, layers) if kept else {}
    return Summary(
        name or type(model).__name__,
        shape,
        tuple(replace(row, bytes_kept=saved.get(row.name, 0)) for row in (first, *rows)),
        others,
        _xla_multiply_adds(model, variables, images, apply_arguments) if xla else None,
    )


def shape_variables(model: linen.Module, images: Any, apply_arguments: Mapping[str, Any]) -> Any:
    """The shapes of a model's variables, without initializing it.

    Args:
        model: any Flax module.
        images: its input, or the shape of it.
        apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The variables as `jax.ShapeDtypeStruct`.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    key = jax.eval_shape(jax.random.key, 0)
    return jax.eval_shape(lambda k, x: model.init(k, x, **arguments), key, images)


def _xla_multiply_adds(
    model: linen.Module, variables: Any, images: Any, apply_arguments: Mapping[str, Any]
) -> int:
    """Half of the floating-point operations that XLA counts in the lowered program."""
    arguments = evaluation_arguments(model, apply_arguments)
    lowered = jax.jit(lambda v, x: model.apply(v, x, **arguments)).lower(variables, images)
    counted: Any = lowered.cost_analysis()
    counted = counted[0] if isinstance(counted, list) else counted
    return round(counted["flops"] / 2)
