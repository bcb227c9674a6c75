"""Which modules a Flax model calls, in order, and the arguments that put it in evaluation mode."""

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from cnnjax.nearest import did_you_mean
from cnnjax.nn import mode_arguments


@dataclasses.dataclass(frozen=True)
class ModuleCall:
    """One call of one module's `__call__` during one application of a model.

    Attributes:
        name: the module's path joined by "/"; a module called again gets "#2", "#3", ...; the model
            itself is "".
        path: the module's path in the parameter tree.
        kind: the class name of the module.
        is_leaf: whether no other module was called during this call.
        occurrence: 0 for the first call of this module, 1 for the second, ...
    """

    name: str
    path: tuple[str, ...]
    kind: str
    is_leaf: bool
    occurrence: int


def evaluation_arguments(model: linen.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """Completes the keyword arguments of `model.apply` so that the model is evaluated.

    Args:
        model: any Flax module whose `__call__` takes the input first.
        given: keyword arguments that the caller chose; they are kept as they are.

    Returns:
        `given`, and the usual switches (`train=False`, `deterministic=True`, ...) that the model
        has.

    Raises:
        TypeError: `__call__` needs further arguments, or does not take one that was given.
    """
    return mode_arguments(model, False, given)


def training_arguments(model: linen.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """Completes the keyword arguments of `model.apply` so that the model is trained.

    Args:
        model: any Flax module whose `__call__` takes the input first.
        given: keyword arguments that the caller chose; they are kept as they are.

    Returns:
        `given`, and the usual switches (`train=True`, `deterministic=False`, ...) that the model
        has.

    Raises:
        TypeError: `__call__` needs further arguments, or does not take one that was given.
    """
    return mode_arguments(model, True, given)


@contextlib.contextmanager
def observe_calls(
    around: Callable[[ModuleCall, linen.Module, tuple[Any, ...], Callable[[], Any]], Any]
    | None = None,
) -> Iterator[list[ModuleCall]]:
    """Records every module call of every Flax model that is applied within the block.

    Args:
        around: called as `around(call, module, inputs, proceed)` for each call, with the bound
            module and its positional arguments, and returns what the call returns; `call.is_leaf`
            is not known before the call ends, and is False. None leaves the calls as they are.

    Yields:
        The calls in the order in which they start; complete when the application has returned.
    """
    calls: list[ModuleCall] = []
    seen: collections.Counter[tuple[str, ...]] = collections.Counter()

    def interceptor(next_method, args, kwargs, context):
        # Flax intercepts other methods too, such as `setup`, which are no calls of a layer.
        if context.method_name != "__call__":
            return next_method(*args, **kwargs)
        path = tuple(context.module.path)
        occurrence = seen[path]
        seen[path] += 1
        name = "/".join(path) + (f"#{occurrence + 1}" if occurrence else "")
        call = ModuleCall(name, path, type(context.module).__name__, False, occurrence)
        # Calls within this one are appended before it ends, so its place is noted now.
        position = len(calls)
        calls.append(call)

        def proceed():
            return next_method(*args, **kwargs)

        output = proceed() if around is None else around(call, context.module, args, proceed)
        # A leaf is a call during which no other call was recorded.
        calls[position] = dataclasses.replace(call, is_leaf=len(calls) == position + 1)
        return output

    with linen.intercept_methods(interceptor):
        yield calls


def module_calls(
    model: linen.Module, variables: Any, images: Any, **apply_arguments: Any
) -> list[ModuleCall]:
    """Returns the module calls of `model.apply(variables, images)`, without running it.

    Args:
        model: any Flax module.
        variables: its variables; shapes (`jax.ShapeDtypeStruct`) suffice.
        images: its input, or the shape of it, usually [batch, height, width, channels].
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        One entry a call, the model itself first.

    Raises:
        TypeError: `__call__` needs arguments that were not given.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    with observe_calls() as calls:
        jax.eval_shape(lambda v, x: model.apply(v, x, **arguments), variables, images)
    return calls


def apply_edited(
    model: linen.Module,
    variables: Any,
    images: Any,
    layer: str,
    edit: Callable[[Any], Any],
    **apply_arguments: Any,
) -> Any:
    """Applies a model with the output of one of its module calls replaced.

    Args:
        model: any Flax module.
        variables: its variables.
        images: its input.
        layer: the call, as `module_calls` names it.
        edit: takes the call's output and returns what replaces it.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        What the model returns.

    Raises:
        KeyError: there is no such call; the message gives the nearest.
    """
    arguments = evaluation_arguments(model, apply_arguments)

    def around(call: ModuleCall, module: linen.Module, inputs: tuple[Any, ...], proceed):
        output = proceed()
        return edit(output) if call.name == layer else output

    with observe_calls(around) as calls:
        result = model.apply(variables, images, **arguments)
    # Only now are all calls known.
    check_names([layer], [call.name for call in calls], f"layer of {type(model).__name__}")
    return result


def image_batch(images: Any, function: str) -> jax.Array:
    """Returns images as an array.

    Args:
        images: what was given.
        function: the caller's name, for the message.

    Raises:
        ValueError: they are not [batch, height, width, channels].
    """
    array = jnp.asarray(images)
    if array.ndim != 4:
        fix = "; for one image give images[None]" if array.ndim == 3 else ""
        raise ValueError(
            f"{function}: images of shape {array.shape}; expected [batch, height, width, "
            f"channels]{fix}"
        )
    return array


def check_names(names: Iterable[str], known: Sequence[str], what: str) -> None:
    """Raises an error if a name is not known.

    Args:
        names: the names to check.
        known: the names there are.
        what: what the names are of, for the message, such as "layer".

    Raises:
        KeyError: one of the names is not known; the message gives the nearest ones.
    """
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known).strip() or f"there are {', '.join(known)}"
            raise KeyError(f"no {what} is named {name!r}; {hint}")
