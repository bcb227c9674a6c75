"""The channels of a network, read from its traced programs for evaluation and for training."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flax.linen as linen
import jax
import numpy as np
from jax.extend.core import Jaxpr, Literal

from cnnjax import nn
from cnnjax.analysis.calls import ModuleCall, observe_calls
from cnnjax.analysis.cost.inner_programs import general_branch, inner_program
from cnnjax.analysis.cost.operations import MARK
from cnnjax.compression.axes import ANY, FIXED, Axes, Axis, Places, filled, leaf_paths
from cnnjax.compression.axis_rules import Step, follow
from cnnjax.models.net import FEATURES

VariablePath = tuple[str, ...]


@dataclass(frozen=True)
class Channels:
    """The places along the axes of a network's variables, and what the network does with them.

    Attributes:
        places: the numbered places.
        variables: the axes of each variable, by its path with the collection.
        kernels: (input, output) axes of every kernel that the network multiplies by.
        layers: the class of each module that was called, by its path, with its fields.
    """

    places: Places
    variables: Mapping[VariablePath, Axes]
    kernels: Sequence[tuple[Axis, Axis]]
    layers: Mapping[str, Mapping[str, Any]]


def read_channels(model: linen.Module, variables: Any, images: Any) -> Channels:
    """Reads which places of a network's variables must go together; nothing is computed.

    Args:
        model: any Flax module that takes one array of images.
        variables: its variables, or their shapes.
        images: its input, or the shape of it.
    """
    places = Places()
    paths = leaf_paths(variables)
    own = {
        path: tuple(places.new(size) for size in leaf.shape)
        for path, leaf in zip(paths, jax.tree.leaves(variables), strict=True)
    }
    layers: dict[str, dict[str, Any]] = {}
    kernels: list[tuple[Axis, Axis]] = []
    for train in (False, True):
        calls, program, result = _trace(model, variables, images, train, layers)
        reader = _Reader(places, [call.name for call in calls], kernels)
        # The key has no axes.
        inputs = [*own.values(), filled(images.shape, FIXED), ()]
        constants = [_constant(value) for value in program.consts]
        outputs = reader.read(program.jaxpr, inputs, constants, "")
        _follow_results(places, own, outputs, result)
    for layer in getattr(model, "class_layers", ()):
        kernel = own.get(("params", *layer.split("/"), "kernel"))
        if kernel is not None:
            places.keep(kernel[-1], "its outputs are the classes")
    return Channels(places, own, kernels, layers)


def _trace(
    model: linen.Module, variables: Any, images: Any, train: bool, layers: dict[str, Any]
) -> tuple[list[ModuleCall], Any, Any]:
    """Returns the module calls, the program, and the structure of its result."""
    number = iter(range(10**9))

    def around(call: ModuleCall, module: linen.Module, inputs: Any, proceed: Any) -> Any:
        layers.setdefault("/".join(call.path), _fields(module))
        # The scope marks each operation with the call that it belongs to.
        with jax.named_scope(f"{MARK}{next(number)}"):
            return proceed()

    def apply(variables: Any, images: Any, key: Any) -> Any:
        # Where features are collected, a network of the zoo computes its auxiliary heads too.
        return nn.apply_network(model, variables, images, train=train, key=key, mutable=[FEATURES])

    key = jax.eval_shape(lambda: jax.random.key(0))
    with observe_calls(around) as calls:
        program, result = jax.make_jaxpr(apply, return_shape=True)(variables, images, key)
    return calls, program, result


def _fields(module: linen.Module) -> dict[str, Any]:
    names = ("features", "feature_group_count")
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def _follow_results(
    places: Places, own: Mapping[VariablePath, Axes], outputs: Sequence[Axes], result: Any
) -> None:
    """Keeps what the network returns; a collection that it updates has its variable's axes."""
    of_network = len(jax.tree.leaves(result[0]))
    for axes in outputs[:of_network]:
        places.keep_all(axes, "the network returns it")
    for path, axes in zip(leaf_paths(result[1]), outputs[of_network:], strict=True):
        if len(own.get(path, ())) == len(axes):
            for first, second in zip(own[path], axes, strict=True):
                places.join(first, second, f"{'/'.join(path[1:])} is updated with other positions")


def _constant(value: Any) -> Axes:
    """Returns the axes of an array that the network's code holds: it has the size that it has."""
    return tuple(np.full(size, FIXED if size > 1 else ANY) for size in np.shape(value))


@dataclass
class _Reader:
    """Follows the axes of arrays through a program.

    Attributes:
        places: the numbered places.
        names: of the module calls.
        kernels: filled with the axes of kernels.
    """

    places: Places
    names: Sequence[str]
    kernels: list[tuple[Axis, Axis]] = field(default_factory=list)

    def read(
        self, program: Jaxpr, inputs: Sequence[Axes], constants: Sequence[Axes], scope: str
    ) -> list[Axes]:
        """Reads a program and returns the axes of its results."""
        known: dict[Any, Axes] = dict(zip(program.invars, inputs, strict=True))
        known.update(zip(program.constvars, constants, strict=True))

        def axes_of(atom: Any) -> Axes:
            return _constant(atom.val) if isinstance(atom, Literal) else known[atom]

        for equation in program.eqns:
            operands = [axes_of(atom) for atom in equation.invars]
            results = self._follow(equation, operands, f"{scope}/{equation.source_info.name_stack}")
            known.update(zip(equation.outvars, results, strict=True))
        return [axes_of(atom) for atom in program.outvars]

    def _follow(self, equation: Any, operands: list[Axes], scope: str) -> list[Axes]:
        name, params = equation.primitive.name, equation.params
        if (branch := general_branch(name, params)) is not None:
            return self._inside(branch, operands[1:], scope)
        if (body := inner_program(name, params)) is not None:
            return self._inside(body, operands, scope)
        if name == "scan":
            return self._scan(params, operands, scope)
        shapes = [tuple(getattr(variable.aval, "shape", ())) for variable in equation.outvars]
        where = self._layer(scope)

        def why(words: str) -> str:
            return f"{name} in {where} {words}"

        return follow(name, Step(self.places, params, operands, shapes, why, self.kernels))

    def _inside(self, body: Jaxpr, operands: Sequence[Axes], scope: str) -> list[Axes]:
        return self.read(body, operands, [], scope)

    def _layer(self, scope: str) -> str:
        """Returns the name of the innermost module call around an operation."""
        marks = re.findall(rf"{MARK}(\d+)", scope)
        name = self.names[int(marks[-1])] if marks else ""
        # A call of the network by itself is named by its number.
        return name if name and not name.startswith("#") else "the network's own call"

    def _scan(self, params: Mapping[str, Any], operands: list[Axes], scope: str) -> list[Axes]:
        """Follows one turn; what is carried has the same axes before and after each turn."""
        body = params["jaxpr"]
        fixed, carried = params["num_consts"], params["num_carry"]
        constants = [_constant(value) for value in body.consts]
        reason = f"a loop in {self._layer(scope)} stacks it"
        for stack in operands[fixed + carried :]:
            self.places.keep(stack[0], reason)
        slices = [stack[1:] for stack in operands[fixed + carried :]]
        carry = operands[fixed : fixed + carried]
        # A second turn sees what the first one joined.
        results: list[Axes] = []
        for _ in range(2):
            results = self.read(body.jaxpr, [*operands[:fixed], *carry, *slices], constants, scope)
            carry = [
                tuple(self.places.join(a, b, reason) for a, b in zip(before, after, strict=True))
                for before, after in zip(carry, results[:carried], strict=True)
            ]
        length = params["length"]
        stacks = [(np.full(length, FIXED), *axes) for axes in results[carried:]]
        return [*carry, *stacks]
