"""The calling convention of any Linen module: its mode, its keys, and what a call changes."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as linen
import jax
from jaxtyping import Array, Key

# Names that Linen modules use for the switch between training and evaluation, with its value in
# training.
_SWITCHES: Mapping[str, bool] = {
    "train": True,
    "training": True,
    "is_train": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
    "eval": False,
    "inference": False,
}
# Arguments of `apply` itself.
_OF_APPLY = ("method", "capture_intermediates")


def init_network(model: linen.Module, key: Key[Array, ""], inputs: Any) -> dict[str, Any]:
    """Returns fresh variables of any Linen module, initialized in evaluation mode.

    Args:
        model: a module whose `__call__` takes its inputs first.
        key: decides the initial parameters, and all else that is random.
        inputs: the first argument of the call, such as images [batch, height, width, channels].

    Returns:
        The variables by collection, without those to which each call appends (`sow`): these are
        outputs of a call, not state.

    Raises:
        TypeError: `__call__` needs further arguments.
    """
    params_key, dropout_key = jax.random.split(key)
    arguments = mode_arguments(model, train=False)
    # Linen draws from "params" for every stream that has no key of its own.
    rngs = {"params": params_key, "dropout": dropout_key}
    variables = dict(model.init(rngs, inputs, **arguments))
    extra = [name for name in variables if name not in ("params", "batch_stats")]
    if extra:
        # A collection that a call appends to has another structure after a second call.
        after = jax.eval_shape(
            lambda variables, inputs: model.apply(
                variables, inputs, rngs=rngs, mutable=extra, **arguments
            )[1],
            variables,
            inputs,
        )
        for name in extra:
            if jax.tree.structure(after.get(name)) != jax.tree.structure(variables[name]):
                del variables[name]
    return variables


def apply_network(
    model: linen.Module,
    variables: Mapping[str, Any],
    inputs: Any,
    *,
    train: bool,
    key: Key[Array, ""] | None = None,
    mutable: bool | str | Sequence[str] = False,
    **options: Any,
) -> Any:
    """Calls any Linen module in training or in evaluation mode.

    The signature of its `__call__` decides which switch it gets: `train`, `training`, `is_train`
    and `is_training` are True in training; `deterministic`, `use_running_average`, `eval` and
    `inference` are False. A module that takes none of them is called without a switch.

    Args:
        model: a module whose `__call__` takes its inputs first.
        variables: its variables, by collection.
        inputs: the first argument of the call.
        train: whether it is called in training mode.
        key: for dropout and all else that a module draws, under any name; modules that draw need it
            in training.
        mutable: collections that the call may change, besides those that training changes: all
            among the variables but `params`. True means all of those in evaluation, too.
        **options: further keyword arguments of `__call__`, such as the switch itself, and `method`
            and `capture_intermediates` of `apply`.

    Returns:
        The module's result; where it may change collections (always in training), a pair of the
        result and a dict of these collections.

    Raises:
        TypeError: `__call__` takes no such option, or needs one that was not given.
    """
    of_apply = {name: options.pop(name) for name in _OF_APPLY if name in options}
    arguments = mode_arguments(model, train, options, of_apply.get("method"))
    # Two streams with the same key would draw the same numbers.
    rngs = {} if key is None else {"dropout": key, "params": jax.random.fold_in(key, 1)}
    # Training changes every collection but the parameters, which the optimizer changes.
    state = [name for name in variables if name != "params"]
    changed = list(state) if train or mutable is True else []
    if not isinstance(mutable, bool):
        given = [mutable] if isinstance(mutable, str) else mutable
        changed += [name for name in given if name not in changed]
    elif not (train or mutable):
        return model.apply(dict(variables), inputs, rngs=rngs, **of_apply, **arguments)
    outputs, updated = model.apply(
        dict(variables), inputs, rngs=rngs, mutable=changed, **of_apply, **arguments
    )
    return outputs, dict(updated)


def mode_arguments(
    model: linen.Module,
    train: bool,
    given: Mapping[str, Any] | None = None,
    method: Any = None,
) -> dict[str, Any]:
    """Returns the keyword arguments that put a module's call in one of the two modes.

    Args:
        model: a module whose `__call__` takes the input first.
        train: whether it runs in training mode.
        given: keyword arguments that the caller chose; they stay unchanged.
        method: another method than `__call__`, or its name; None for `__call__`.

    Returns:
        `given`, and the usual switches (`train=...`, `deterministic=...`, ...) that the module
        takes. A switch that is also a field of the module, and set there, is not among them.

    Raises:
        TypeError: the method needs further arguments, or does not take one that was given.
    """
    given = {} if given is None else given
    function = type(model).__call__ if method is None else method
    if isinstance(function, str):
        function = getattr(type(model), function)
    called = getattr(function, "__name__", "__call__")
    # A bound method's signature lacks the module; a plain function's has it as first parameter.
    skipped = 1 if inspect.ismethod(function) else 2
    parameters = list(inspect.signature(function).parameters.values())[skipped:]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    unknown = sorted(set(given) - set(named))
    if unknown and not takes_any:
        raise TypeError(
            f"{type(model).__name__}: {called} takes no argument "
            f"{', '.join(map(repr, unknown))}; it takes the input and "
            f"{sorted(named) or 'nothing else'}"
        )
    arguments = dict(given)
    for name, parameter in named.items():
        if name in given:
            continue
        if name in _SWITCHES:
            # Linen's merge_param refuses a value from both.
            if parameter.default is not None or getattr(model, name, None) is None:
                arguments[name] = _SWITCHES[name] if train else not _SWITCHES[name]
        elif parameter.default is parameter.empty:
            raise TypeError(
                f"{type(model).__name__}: {called} needs the argument {name!r}, which was not "
                f"given; pass it by keyword, {name}=..."
            )
    return arguments
