"""What a training step keeps from the forward pass for the backward pass, by layer."""

import collections
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import flax.linen as linen
import jax
from jax.extend.core import Jaxpr, Literal

from cnnjax.analysis.calls import ModuleCall, observe_calls, training_arguments

INPUT = "input"


def kept_bytes(
    model: linen.Module,
    variables: Any,
    images: Any,
    apply_arguments: Mapping[str, Any],
    layers: Collection[str],
) -> dict[str, int]:
    """Counts the bytes that autodiff saves for the gradient of the parameters, by module call.

    Read from the traced program of `jax.vjp`, so that custom backward rules count as they are.
    XLA may keep less, by computing again what is cheap.

    Args:
        model: any Flax module.
        variables: its variables, or their shapes.
        images: its input, or the shape of it; all of its batch is counted.
        apply_arguments: keyword arguments of `__call__`; training mode is chosen if not given.
        layers: names of the module calls to which bytes are counted.

    Returns:
        Name of the module call to bytes. What is saved outside of these layers, such as by
        activation functions and dropout, counts with the layer before it; the images themselves
        count as "input".
    """
    program, calls = _saving_program(model, variables, images, apply_arguments)
    images_at = program.invars[-2]
    producer, last, depends = {images_at: INPUT}, INPUT, {images_at}
    for equation in program.eqns:
        marks = re.findall(r"call:(\d+)", str(equation.source_info.name_stack))
        if marks and calls[int(marks[-1])].name in layers:
            last = calls[int(marks[-1])].name
        if any(not isinstance(v, Literal) and v in depends for v in equation.invars):
            depends.update(equation.outvars)
        producer.update(dict.fromkeys(equation.outvars, last))
    kept: collections.Counter[str] = collections.Counter()
    # A set: an array that two backward rules need is kept once.
    for variable in {v for v in program.outvars if not isinstance(v, Literal)}:
        # Parameters are there in any case, and do not depend on the images.
        if variable in depends:
            array: Any = variable.aval  # an abstract value of any kind, to JAX's types
            kept[producer[variable]] += array.size * array.dtype.itemsize
    return dict(kept)


def _saving_program(
    model: linen.Module, variables: Any, images: Any, apply_arguments: Mapping[str, Any]
) -> tuple[Jaxpr, Sequence[ModuleCall]]:
    """Traces the forward pass to what its backward pass needs.

    Returns:
        The program, whose last inputs are the images and a key, and whose outputs are the arrays
        that are saved; and the module calls, to which the scopes "call:0", ... refer.
    """
    arguments = training_arguments(model, apply_arguments)
    rest = {name: tree for name, tree in variables.items() if name != "params"}
    count = 0

    def around(call: ModuleCall, module, inputs, proceed):
        nonlocal count
        mark = f"call:{count}"
        count += 1
        # Autodiff keeps the scopes of the operations of the forward pass.
        with jax.named_scope(mark):
            return proceed()

    def saved(params, rest, images, key):
        def outputs(params):
            return model.apply(
                {"params": params, **rest},
                images,
                **arguments,
                rngs={"params": key, "dropout": key},
                mutable=list(rest),
            )[0]

        return jax.tree.leaves(jax.vjp(outputs, params)[1])

    key = jax.eval_shape(jax.random.key, 0)
    with observe_calls(around) as calls:
        program = jax.make_jaxpr(saved)(variables.get("params", {}), rest, images, key).jaxpr
    return program, calls
