"""A network with other widths or other layers at named places: any Linen module, changed by paths.

The changed network is an instance of a class of its own, derived from the network's class: it has
the same fields, methods, signature and named features. Its parameter tree follows from the changes.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen

from cnnjax.nearest import did_you_mean
from cnnjax.nn.bound_fields import bound_fields
from cnnjax.nn.low_rank_conv import RANK, low_rank_of

Changes = Mapping[str, Mapping[str, Any]]
"""New values of a layer's fields by the layer's path, such as {"conv1": {"features": 11}}."""

IDENTITY = "identity"
"""The change of a layer that lets it return its input, if it is true; see `change_layers`."""

_FIELD = "layer_changes"
# Fields that Flax adds to every module.
_OF_FLAX = ("name", "parent")
# As pairs, because a module's fields must be hashable: they are part of the keys of jit's caches.
_Pairs = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]


def change_layers(model: linen.Module, changes: Changes) -> linen.Module:
    """Returns a network some of whose layers have other fields, such as another number of outputs.

    A layer is found by its path among the parameters. Besides its fields, a convolution takes
    `rank`: `LowRankConv` of that rank then replaces it, with the parameters "column" and "row" in
    the place of its own. Any layer takes `identity`: if true, it returns its input, and has no
    variables. Layers after a changed one take their input as it comes. A network whose
    `__call__` decides by the number of channels may compute other layers than before.

    Args:
        model: any Linen module; if its layers are changed already, both changes hold.
        changes: new values of fields by the layer's path; empty returns the network as it is.

    Returns:
        The changed network, without variables.

    Raises:
        TypeError: `model` is no Linen module, or `changes` are not mappings of mappings.

    Example:
        >>> import jax
        >>> from cnnjax import models, nn
        >>> net = nn.change_layers(models.create_model("lenet5"), {"c1": {"features": 4}})
        >>> images = jax.ShapeDtypeStruct((1, 32, 32, 1), "float32")
        >>> shapes = jax.eval_shape(net.init, jax.random.key(0), images)["params"]
        >>> shapes["c1"]["kernel"].shape, shapes["c3"]["kernel"].shape
        ((5, 5, 1, 4), (5, 5, 4, 16))
    """
    if not isinstance(model, linen.Module):
        raise TypeError(f"change_layers: {type(model).__name__} is no flax.linen.Module")
    given = _checked(changes)
    before = layer_changes(model)
    merged = {path: {**before.get(path, {}), **given.get(path, {})} for path in {**before, **given}}
    if not given:
        return model
    pairs = tuple((path, tuple(sorted(values.items()))) for path, values in sorted(merged.items()))
    if before:
        return model.clone(layer_changes=pairs)
    fields: dict[str, Any] = {
        field.name: getattr(model, field.name)
        for field in dataclasses.fields(model)
        if field.init and field.name not in _OF_FLAX
    }
    changed: Any = _changing(type(model))
    return changed(**fields, **{_FIELD: pairs}, name=model.name)


def layer_changes(model: linen.Module) -> dict[str, dict[str, Any]]:
    """Returns the changes that `change_layers` made to a network; empty for any other network.

    Args:
        model: any Linen module.
    """
    pairs: _Pairs = getattr(model, _FIELD, ())
    return {path: dict(values) for path, values in pairs}


def _checked(changes: Changes) -> dict[str, dict[str, Any]]:
    if not isinstance(changes, Mapping) or not all(
        isinstance(path, str) and isinstance(values, Mapping) for path, values in changes.items()
    ):
        raise TypeError(
            f"change_layers: changes must be a mapping of a layer's path to its new fields, such "
            f"as {{'conv1': {{'features': 11}}}}, got {changes!r}"
        )
    return {path: dict(values) for path, values in changes.items() if values}


@functools.cache
def _changing(kind: type[linen.Module]) -> type[linen.Module]:
    """Returns the class of the changed networks of a class."""

    class Changed(kind):
        layer_changes: _Pairs = ()

        # Not wrapped by Linen: the network's own call is one call, not two.
        @linen.nowrap
        @functools.wraps(kind.__call__)
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            top = () if self.scope is None else self.path
            changing = _Changing(type(self).__name__, layer_changes(self), len(top))
            with linen.intercept_methods(changing.intercept):
                outputs = kind.__call__(self, *args, **kwargs)
            # Only while it is initialized does a network call all its layers.
            if self.scope is not None and self.is_initializing():
                changing.check_all_found()
            return outputs

    Changed.__name__, Changed.__qualname__ = kind.__name__, kind.__qualname__
    Changed.__module__, Changed.__doc__ = kind.__module__, kind.__doc__
    return Changed


class _Changing:
    """Changes the layers of one call of a network.

    Args:
        network: its name, for messages.
        changes: new values of fields by path.
        depth: how many names of a layer's path lead to the network itself.
    """

    def __init__(self, network: str, changes: Mapping[str, Mapping[str, Any]], depth: int):
        self._network, self._changes, self._depth = network, changes, depth
        self._paths: dict[str, None] = {}
        self._replaced: set[str] = set()

    def intercept(
        self,
        proceed: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: linen.module.InterceptorContext,
    ) -> Any:
        """Calls a layer with its new fields, or the layer that replaces it."""
        module = context.module
        if context.method_name != "__call__" or module.scope is None:
            return proceed(*args, **kwargs)
        path = "/".join(module.path[self._depth :])
        self._paths[path] = None
        values = dict(self._changes.get(path, {}))
        # The layer that replaces a convolution has the same path.
        if not values or path in self._replaced:
            return proceed(*args, **kwargs)
        if values.pop(IDENTITY, False):
            return args[0]
        rank = values.pop(RANK, None)
        _check_fields(module, path, values)
        with bound_fields(module, **values):
            if rank is None:
                return proceed(*args, **kwargs)
            self._replaced.add(path)
            try:
                return low_rank_of(module, rank)(*args, **kwargs)
            finally:
                self._replaced.discard(path)

    def check_all_found(self) -> None:
        """Raises an error for a change of a layer that the network does not have."""
        for path in self._changes:
            if path not in self._paths:
                known = [name for name in self._paths if name]
                hint = did_you_mean(path, known).strip() or f"there are {', '.join(known)}"
                raise ValueError(f"{self._network}: there is no layer {path!r} to change; {hint}")


def _check_fields(module: linen.Module, path: str, values: Mapping[str, Any]) -> None:
    known = [each.name for each in dataclasses.fields(module) if each.name not in _OF_FLAX]
    for name in values:
        if name not in known:
            raise ValueError(
                f"{type(module).__name__} {path}: there is no field {name!r} to change; "
                f"{did_you_mean(name, known)}it has {', '.join(known)}"
            )
