"""What each layer of a network costs, and what it sees: counted from shapes, nothing is run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from cnnjax.analysis.calls import evaluation_arguments
from cnnjax.analysis.cost.layer_rows import Row, layer_rows
from cnnjax.analysis.cost.saved_activations import INPUT, kept_bytes
from cnnjax.analysis.cost.summary import Summary
from cnnjax.analysis.cost.traces import trace_operations


def summarize(
    model: linen.Module,
    input_shape: Sequence[int],
    *,
    dtype: Any = jnp.float32,
    variables: Any = None,
    kept: bool = True,
    biases: bool = True,
    xla: bool = False,
    name: str | None = None,
    **apply_arguments: Any,
) -> Summary:
    """Counts what each layer of any Flax model costs, and the receptive field that it has.

    Everything is counted from shapes. Outputs of convolutions, dense layers, pools, norms,
    additions and concatenations are counted; activation functions work in place.

    Args:
        model: any Flax module that takes one array of images.
        input_shape: height, width and channels of an image, without the batch; or the length of a
            vector.
        dtype: dtype of the images.
        variables: the model's variables or their shapes; None initializes by shapes.
        name: the model's name in the summary; None for the name of its class.
        kept: whether `bytes_kept` is counted, which traces the training step too.
        biases: whether parameters named "bias" or "..._bias" are counted, those that layers and
            norms add; without them, weights and scales are left.
        xla: whether XLA's own count is added, which lowers (but does not compile) the model.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The summary: a row for the input and for each layer.

    Raises:
        TypeError: `__call__` needs arguments that were not given.
        ValueError: the shape is not three positive integers or one, or the model refuses it.
    """
    shape = checked_shape(input_shape, "summarize")
    images = jax.ShapeDtypeStruct((1, *shape), dtype)
    if variables is None:
        variables = shape_variables(model, images, apply_arguments)
    trace = trace_operations(model, variables, images, **apply_arguments)
    params = variables.get("params", {})
    rows, others = layer_rows(trace, params if biases else _without_biases(params))
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
        biases,
    )


def _without_biases(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the parameters without those that are added."""
    flat = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict(
        {path: leaf for path, leaf in flat.items() if not f"_{path[-1]}".endswith("_bias")}
    )


def checked_shape(input_shape: Sequence[int], function: str) -> tuple[int, ...]:
    """Returns the shape of one image or vector.

    Args:
        input_shape: what was given.
        function: the caller's name, for the message.

    Raises:
        ValueError: it is not three positive integers or one.
    """
    shape = tuple(input_shape) if isinstance(input_shape, Iterable) else ()
    whole = all(isinstance(n, (int, np.integer)) and n > 0 for n in shape)
    if len(shape) not in (1, 3) or not whole:
        raise ValueError(
            f"{function}: input_shape {input_shape!r} must be three positive integers, the height, "
            "width and channels of one image without the batch, or one for a vector"
        )
    return shape


def shape_variables(model: linen.Module, images: Any, apply_arguments: Mapping[str, Any]) -> Any:
    """Returns the shapes of a model's variables, without initializing it.

    Args:
        model: any Flax module.
        images: its input, or the shape of it.
        apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The variables as `jax.ShapeDtypeStruct`.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    # By shape too, so that no random number is drawn.
    key = jax.eval_shape(jax.random.key, 0)
    return jax.eval_shape(lambda k, x: model.init(k, x, **arguments), key, images)


def _xla_multiply_adds(
    model: linen.Module, variables: Any, images: Any, apply_arguments: Mapping[str, Any]
) -> int:
    """Returns half of the floating-point operations that XLA counts in the lowered program."""
    arguments = evaluation_arguments(model, apply_arguments)
    lowered = jax.jit(lambda v, x: model.apply(v, x, **arguments)).lower(variables, images)
    counted: Any = lowered.cost_analysis()
    # Some backends return one entry for each program.
    counted = counted[0] if isinstance(counted, list) else counted
    return round(counted["flops"] / 2)
