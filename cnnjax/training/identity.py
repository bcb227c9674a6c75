"""What identifies a run made in Python: JSON values, compared when a folder is resumed.

Dataclass fields, digests of arrays, functions by module and name, and the structure of the
optimizer's state. The numbers inside an optimizer object cannot be read, and are not compared.
"""

import dataclasses
import enum
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from cnnjax import patterns
from cnnjax.training.check import state_shapes
from cnnjax.training.run import Run


def run_identity(run: Run) -> dict[str, Any]:
    """Returns the identity of a run: its own where it has one, else that of its parts.

    Args:
        run: the run.
    """
    if run.identity is not None:
        return dict(run.identity)
    # The shapes are enough: no parameter is computed.
    params = state_shapes(run).params
    return {
        "model": describe(run.model),
        "task": describe(run.task),
        "train": {name: _stream(stream) for name, stream in run.streams.items()},
        run.split: None if run.test is None else run.test.identity(),
        "optimizer": _optimizer(run, params),
        "preprocess": describe(run.preprocess),
        "variables": None if run.variables is None else _digest(run.variables),
        **({} if run.start is None else {"start": describe(run.start)}),
        "frozen": [list(rule) for rule in run.freezing.rules],
        **({"unfreeze": [list(rule) for rule in run.unfreeze]} if run.unfreeze else {}),
        "batch_norm": describe(run.batch_norm),
        **{
            name: getattr(run, name)
            for name in ("epochs", "accumulate", "ema_decay", "loss_scaling", "seed")
        },
    }


def describe(value: Any) -> Any:
    """Returns JSON values that distinguish an object from others of its kind.

    Args:
        value: an array, a dataclass, a function, a type, or a container of such values.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): describe(inner) for name, inner in value.items()}
    if isinstance(value, np.generic):
        return {"type": _path(type(value)), "value": describe(value.item())}
    if isinstance(value, set | frozenset):
        # A set has no order of its own, and may have another one in the next process.
        return sorted((describe(inner) for inner in value), key=repr)
    if isinstance(value, enum.Enum):
        return f"{_path(type(value))}.{value.name}"
    if isinstance(value, tuple | list):
        return [describe(inner) for inner in value]
    if isinstance(value, functools.partial):
        return {"partial": describe(value.func), "args": describe(value.args)} | {
            "keywords": describe(value.keywords)
        }
    if isinstance(value, np.ndarray | jax.Array):
        return _digest(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: describe(getattr(value, field.name))
            for field in dataclasses.fields(value)
            # A module's place in its parent does not belong to the module itself.
            if field.init and field.name not in ("parent", "name")
        }
        return {"type": _path(type(value)), **fields}
    if isinstance(value, np.dtype) or (isinstance(value, type) and _is_dtype(value)):
        return np.dtype(value).name
    if hasattr(value, "__qualname__"):
        return _path(value)
    return {"type": _path(type(value))}


def _is_dtype(value: type) -> bool:
    try:
        np.dtype(value)
    except TypeError:
        return False
    return value is not object


def _path(part: Any) -> str:
    return f"{part.__module__}:{part.__qualname__}"


def _stream(stream: Any) -> dict[str, Any]:
    return {
        "examples": stream.examples.identity(),
        "batch_size": stream.batch_size,
        "order": describe(stream.order),
        "by": stream.by,
        "augmentation": {view: describe(policy) for view, policy in stream.policies.items()},
    }


def _optimizer(run: Run, params: Any) -> list[str]:
    """Returns path, shape and dtype of each array of the optimizer's state."""
    state = jax.eval_shape(lambda params: run.make_optimizer(params).init(params), params)
    leaves = jax.tree.leaves(state)
    return [
        f"{name} {tuple(leaf.shape)} {leaf.dtype}"
        for name, leaf in zip(patterns.path_names(state), leaves, strict=True)
    ]


def _digest(tree: Any) -> str:
    """Returns the SHA-256 over paths, shapes, dtypes and bytes of all arrays of a tree."""
    digest = hashlib.sha256()
    for name, leaf in zip(patterns.path_names(tree), jax.tree.leaves(tree), strict=True):
        array = np.asarray(leaf)
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
