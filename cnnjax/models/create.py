"""Networks made by name or by path, with the number of classes, the dtype and changes to them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax.numpy as jnp

from cnnjax import nn
from cnnjax.models.registry import find_entry
from cnnjax.nearest import did_you_mean

# Fields that Flax adds to every module.
_OF_FLAX = ("name", "parent")
# Fields that `create_model` has arguments for.
_WITH_ARGUMENTS = ("dtype", "num_classes")


def create_model(
    name: str,
    num_classes: int | None = None,
    dtype: Any = jnp.float32,
    *,
    variant: str | None = None,
    layer_changes: nn.Changes | None = None,
    **overrides: Any,
) -> linen.Module:
    """Returns the network `name`, a Flax module without parameters.

    Args:
        name: a registered name or alias, such as "resnet50", "vgg_d" or "wrn40_4"; or the path of a
            Linen module's class, or of a function that makes one, such as "my_package.nets:MyNet".
        num_classes: number of logits; None means as published. A network of your own gets it if it
            takes `num_classes`.
        dtype: dtype of the computation; parameters are float32 always. A network of your own gets
            it if it takes `dtype`, and computes in float32 if not.
        variant: a registered form, such as "torchvision" for the one that library's weights need.
        layer_changes: new fields of single layers by their paths, as a pruned network has them; see
            `nn.change_layers`.
        **overrides: fields of the module to set, such as `backward="native"`, `remat=True`,
            `initialization="he"` or `dropout_rate=0.3`.

    Returns:
        The module. `model.init(key, x)` gives its variables, `model.apply(variables, x,
        train=False)` its logits.

    Raises:
        ValueError: an unknown name or variant (the message gives the nearest names), an unknown
            override (the message gives the allowed ones), a value that is not allowed or is
            missing, a dtype for a network that takes none, or something that is no Linen module.
    """
    net, settings = find_settings(name, num_classes, dtype, variant, overrides)
    model = _checked_module(name, net(**settings))
    try:
        return nn.change_layers(model, {} if layer_changes is None else layer_changes)
    except TypeError as error:
        raise ValueError(f"create_model: layer_changes: {error}") from error


def find_settings(
    name: str,
    num_classes: int | None,
    dtype: Any,
    variant: str | None,
    overrides: Mapping[str, Any],
) -> tuple[Callable[..., linen.Module], dict[str, Any]]:
    """Returns what makes a network, and its arguments, for `create_model`.

    Args:
        name: as `create_model` takes it, as are the others.
        num_classes: number of logits; None means as published.
        dtype: of the computation.
        variant: a registered form, or None.
        overrides: fields to set.

    Raises:
        ValueError: as `create_model`.
    """
    entry = find_entry(name, variant)
    takes = _arguments(entry.net)
    if takes is None:
        # A function with **kwargs gets both arguments, and its overrides cannot be checked.
        takes = dict.fromkeys(("dtype", "num_classes"), False)
    else:
        _check_overrides(name, overrides, takes)
    settings = {**entry.settings, **overrides}
    if "dtype" in takes:
        settings["dtype"] = dtype
    elif dtype is not None and jnp.dtype(dtype) != jnp.float32:
        raise ValueError(
            f"create_model: {name} takes no dtype, and can't compute in {jnp.dtype(dtype)}; give "
            "it a field `dtype` for its layers, or leave dtype (precision) at float32"
        )
    if num_classes is not None and "num_classes" in takes:
        settings["num_classes"] = num_classes
    missing = [key for key, needed in takes.items() if needed and key not in settings]
    if missing:
        raise ValueError(
            f"create_model: {name} needs {', '.join(map(repr, missing))}; set it as an override"
        )
    _check_call(name, entry.net, settings)
    return entry.net, settings


def _checked_module(name: str, model: Any) -> linen.Module:
    """Returns what was made, when it is a Linen module."""
    if not isinstance(model, linen.Module):
        raise ValueError(
            f"create_model: {name} makes a {type(model).__name__}, not a flax.linen.Module; give "
            "the path of a Linen module's class, or of a function that returns such a module"
        )
    return model


def _arguments(net: Callable[..., Any]) -> dict[str, bool] | None:
    """Returns the arguments that make a network, each with whether it must be given.

    None for a function that takes arguments of any name.
    """
    try:
        parameters = inspect.signature(net).parameters.values()
    except ValueError:
        # Some of Python's own classes show no signature.
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {
        parameter.name: parameter.default is parameter.empty
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name not in _OF_FLAX
    }


def _check_call(name: str, net: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    """Raises an error for a function that cannot be called with these arguments by name."""
    try:
        inspect.signature(net).bind(**settings)
    # It has a ValueError for what has no signature, such as some of Python's own classes.
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"create_model: {name} cannot be called with the arguments "
            f"{', '.join(settings) or 'none'}: {error}; give the path of a Linen module's class, "
            "or of a function that returns such a module"
        ) from error


def _check_overrides(name: str, overrides: Mapping[str, Any], takes: Mapping[str, bool]) -> None:
    """Raises an error for an override that the network does not take."""
    allowed = sorted(set(takes) - set(_WITH_ARGUMENTS))
    unknown = sorted(set(overrides) - set(allowed))
    if unknown:
        raise ValueError(
            f"create_model: {name} takes no {', '.join(map(repr, unknown))}; "
            f"{did_you_mean(unknown[0], allowed)}allowed are {', '.join(allowed) or 'none'}"
        )
