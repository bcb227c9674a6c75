"""Which examples share batch statistics: a context around a step, so that networks know no devices.

`nn.BatchNorm` reads the context. `flax.linen.BatchNorm`, in any module, gets its axis from a Linen
interceptor. Other layers that keep statistics of their own raise an error where these would be
wrong.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as linen
import jax

from cnnjax.nn.bound_fields import bound_fields

COLLECTION = "batch_stats"


@dataclasses.dataclass(frozen=True)
class BatchStatistics:
    """The settings of a `batch_statistics` block.

    Attributes:
        axis: mapped axis (or axes) over which statistics are averaged, or None.
        axis_groups: groups of indices along that axis, each with statistics of its own.
        groups: number of equal parts of consecutive examples, each with statistics of its own.
        frozen: paths of modules whose batch norm uses, and keeps, its running statistics.
    """

    axis: str | tuple[str, ...] | None = None
    axis_groups: tuple[tuple[int, ...], ...] | None = None
    groups: int = 1
    frozen: tuple[str, ...] = ()

    @property
    def spread(self) -> bool:
        """Whether a layer must do more than average over the examples that it sees."""
        return self.axis is not None or self.groups > 1

    def is_frozen(self, path: Sequence[str]) -> bool:
        """Returns whether the module at a path, or a module around it, is frozen.

        Args:
            path: names of the modules from the network's top down.
        """
        name = "/".join(path)
        return any(
            name == frozen or not frozen or name.startswith(f"{frozen}/") for frozen in self.frozen
        )


_NOTHING = BatchStatistics()
# A user context is part of the key of jit's caches: programs of two contexts are never confused.
_current = jax.make_user_context(_NOTHING)


@contextlib.contextmanager
def batch_statistics(
    axis: str | tuple[str, ...] | None = None,
    axis_groups: Sequence[Sequence[int]] | None = None,
    groups: int = 1,
    frozen: Sequence[str] = (),
) -> Iterator[BatchStatistics]:
    """Sets, for networks traced within the block, which examples share batch statistics.

    It acts while a network is traced. Enter it inside the function that is compiled, or around the
    first call of that function: a compiled function that is called under another context is traced
    again. A function compiled elsewhere beforehand does not change.

    Blocks may be nested: frozen paths add up; axis, axis_groups and groups are the inner block's
    if it gives one of the three, else the outer one's. A layer's own fields come before both.

    Args:
        axis: mapped axis (of `jax.pmap`, `jax.shard_map`, `jax.vmap`) over which batches are
            spread, or None.
        axis_groups: groups of indices along that axis, each with statistics of its own.
        groups: number of equal parts of consecutive examples into which the batch is cut, each
            with statistics of its own ("ghost batches"); only `nn.BatchNorm` supports more than 1.
        frozen: paths of modules, such as "stage1_block1/bn1" or "stage1_block1" ("" for the whole
            network), whose batch norms use their running statistics, and leave these as they are,
            though the network is called in training mode.

    Yields:
        The settings inside the block.

    Raises:
        ValueError: groups of indices without an axis, or fewer than one group.
        TypeError: `frozen` is a single string.
    """
    if axis_groups is not None and axis is None:
        raise ValueError(
            f"batch_statistics: axis_groups is {axis_groups!r}, but axis is None; name the mapped "
            "axis whose indices they are"
        )
    # A bool is an int in Python.
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        raise ValueError(f"batch_statistics: groups must be an int of at least 1, got {groups!r}")
    if isinstance(frozen, str):
        raise TypeError(
            f"batch_statistics: frozen is the string {frozen!r}; give a tuple of module paths, "
            f"({frozen!r},)"
        )
    outer = current_statistics()
    given = BatchStatistics(
        axis, None if axis_groups is None else tuple(map(tuple, axis_groups)), groups
    )
    # Sorted, because the context is a key of jit's caches: equal sets must be equal keys.
    paths = tuple(sorted({*outer.frozen, *frozen}))
    merged = dataclasses.replace(outer if given == _NOTHING else given, frozen=paths)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_current(merged))
        # One interceptor is enough: it reads the context at the time of each call.
        if merged != _NOTHING and outer == _NOTHING:
            stack.enter_context(linen.intercept_methods(_intercept))
        yield merged


def current_statistics() -> BatchStatistics:
    """Returns the settings of the innermost `batch_statistics`; outside of any, the defaults."""
    return _current.value


def frozen_norms(variables: Mapping[str, Any], frozen: Any) -> tuple[str, ...]:
    """Returns the paths of modules with batch statistics whose parameters are all frozen.

    Args:
        variables: a network's, with `params` and perhaps `batch_stats`.
        frozen: a tree like `params`; a leaf is True where the parameter is frozen.

    Returns:
        The paths, as `batch_statistics(frozen=...)` takes them. A layer without parameters of its
        own counts as frozen where all parameters of the module around it are frozen.
    """
    found = []
    for path in _paths(variables.get(COLLECTION, {})):
        parameters = _beneath(frozen, path)
        # Batch norm without scale and bias has no parameters of its own.
        if not parameters and path:
            parameters = _beneath(frozen, path[:-1])
        if parameters and all(parameters):
            found.append("/".join(path))
    return tuple(found)


def _paths(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yields the paths of the modules that hold arrays."""
    if any(not isinstance(value, Mapping) for value in tree.values()):
        yield path
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _paths(value, (*path, name))


def _beneath(tree: Any, path: Sequence[str]) -> list[Any]:
    """Returns the leaves below a path; none where the path does not exist."""
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return []
        tree = tree[name]
    return jax.tree.leaves(tree)


def _intercept(
    proceed: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    context: linen.module.InterceptorContext,
) -> Any:
    """Applies the context to a foreign layer, or raises an error that names the layer."""
    module, statistics = context.module, current_statistics()
    if (
        context.method_name != "__call__"
        or statistics == _NOTHING
        or getattr(type(module), "reads_batch_statistics", False)
        or module.scope is None
        or module.is_initializing()
    ):
        return proceed(*args, **kwargs)
    if isinstance(module, linen.BatchNorm):
        return _call_batch_norm(proceed, args, kwargs, module, statistics)
    if (
        # The statistics of spectral norm follow from the parameters, which all devices share.
        isinstance(module, linen.SpectralNorm)
        or not (statistics.spread or statistics.is_frozen(module.path))
    ):
        return proceed(*args, **kwargs)
    before = _own_statistics(module)
    outputs = proceed(*args, **kwargs)
    after = _own_statistics(module)
    # Only a change is an error: in evaluation mode a layer keeps its statistics.
    if any(value is not before.get(name) for name, value in after.items()):
        _refuse_other(module, statistics)
    return outputs


def _call_batch_norm(
    proceed: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    module: linen.BatchNorm,
    statistics: BatchStatistics,
) -> Any:
    """Calls `flax.linen.BatchNorm` on its running statistics, or over the context's axis."""
    if statistics.is_frozen(module.path):
        # Flax refuses a value both from the field and from the call, so the field is unset.
        rest = {name: value for name, value in kwargs.items() if name != "use_running_average"}
        with bound_fields(module, use_running_average=None):
            return proceed(*args[:1], use_running_average=True, **rest)
    given = args[1] if len(args) > 1 else kwargs.get("use_running_average")
    running = module.use_running_average if given is None else given
    # A layer's own axis comes before the context's.
    own = module.axis_name is not None or module.axis_index_groups is not None
    if running or own or not statistics.spread:
        return proceed(*args, **kwargs)
    if statistics.groups > 1:
        raise ValueError(
            f"{_name(module)}: flax.linen.BatchNorm cannot take separate statistics of "
            f"{statistics.groups} groups of the batch; let statistics be of the whole batch "
            "(batch_norm.scope='global'), or use cnnjax.nn.BatchNorm there, which has the same "
            "variables"
        )
    with bound_fields(module, axis_name=statistics.axis, axis_index_groups=statistics.axis_groups):
        return proceed(*args, **kwargs)


def _refuse_other(module: linen.Module, statistics: BatchStatistics) -> None:
    """Raises an error about a layer whose statistics the context cannot change."""
    name, kind = _name(module), type(module).__name__
    if statistics.is_frozen(module.path):
        raise ValueError(
            f"{name}: {kind} is frozen, but it updates its own batch_stats; use "
            "cnnjax.nn.BatchNorm or flax.linen.BatchNorm, or call it in evaluation mode"
        )
    if statistics.spread and getattr(module, "axis_name", None) is None:
        what = (
            f"over the mapped axis {statistics.axis!r}"
            if statistics.axis is not None
            else f"of {statistics.groups} separate groups of the batch"
        )
        raise ValueError(
            f"{name}: {kind} keeps batch_stats, but cannot take them {what}, so that they would "
            "be of the wrong examples; use cnnjax.nn.BatchNorm or flax.linen.BatchNorm, or train "
            "with --parallel=jit and batch_norm.scope='global'"
        )


def _name(module: linen.Module) -> str:
    return "/".join(module.path) or type(module).__name__


def _own_statistics(module: linen.Module) -> dict[str, Any]:
    """Returns the statistics that the module itself keeps, not those of modules in it."""
    kept = module.variables.get(COLLECTION, {})
    return {name: value for name, value in kept.items() if not isinstance(value, Mapping)}
