"""Whether the parts of a run fit together, found from shapes alone before anything is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
from flax.errors import FlaxError

from cnnjax import nn
from cnnjax.training.errors import ConfigError
from cnnjax.training.run import Run, kinds_of
from cnnjax.training.step.gradients import check_parts

_SHAPE_ERRORS = (ValueError, TypeError, FlaxError)
"""What networks raise at images of a size that they cannot take."""


def check_run(run: Run) -> None:
    """Runs augmentation, network, task and optimiser on shapes.

    Raises:
        ConfigError: the network cannot take the images that training or evaluation gives it, the
            task cannot use the network or the examples, or rules match no parameter.
    """
    try:
        _check(run)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _check(run: Run) -> None:
    spec = run.main.examples.spec
    if "image" not in spec:
        raise ValueError(f"train: the examples have no part image; they have {', '.join(spec)}")
    sizes = {name: jnp.zeros(order.batch_size) for name, order in run.orders.items()}
    check_parts(sizes, run.accumulate)
    variables = network_shapes(run, run.image_shape)
    outputs = _outputs(run, variables, run.image_shape, "preprocess (data.resize, data.pad)")
    run.task.check(spec, outputs)
    for name, stream in run.streams.items():
        for view, policy in stream.policies.items():
            shape = _augmented(run, name, policy)
            if shape not in (None, run.image_shape):
                # Networks that end in a global average train on one size, evaluate on another.
                where = f"augmentation of {name}" + (f", view {view}" if view else "")
                _outputs(run, variables, shape, where)
    jax.eval_shape(run.init_state)  # the optimiser's rules


def network_shapes(run: Run, image_shape: tuple[int, ...]) -> Any:
    """Returns the shapes of the network's variables for images of that shape.

    Raises:
        ValueError: the network cannot take them; the message says what to change.
    """
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    key = jax.random.key(0)
    try:
        return jax.eval_shape(lambda key, x: nn.init_network(run.model, key, x), key, images)
    except _SHAPE_ERRORS as error:
        raise _size_error(run, image_shape, error, "data.resize or data.pad") from error


def _outputs(run: Run, variables: Any, shape: tuple[int, ...], remedy: str) -> Any:
    images = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    try:
        return jax.eval_shape(
            lambda v, x: nn.apply_network(run.model, v, x, train=False), variables, images
        )
    except _SHAPE_ERRORS as error:
        raise _size_error(run, shape, error, remedy) from error


def _augmented(run: Run, name: str, policy: Any) -> tuple[int, ...] | None:
    """Returns the shape of an augmented image of a stream; None where it has no images."""
    examples = run.streams[name].examples
    kinds = kinds_of(examples)
    stored = {
        part: jax.ShapeDtypeStruct((1, *spec.shape), spec.dtype)
        for part, spec in examples.spec.items()
    }

    def augmented(parts: Any) -> Any:
        unit = run.preprocess.to_unit(parts, kinds)
        one = {part: value[0] for part, value in unit.items()}
        return policy(jax.random.key(0), one, kinds)

    image = jax.eval_shape(augmented, stored).get("image")
    return None if image is None else image.shape


def _size_error(run: Run, shape: tuple[int, ...], error: Exception, remedy: str) -> ValueError:
    return ValueError(
        f"model: {run.names[0]} cannot take images of {'x'.join(map(str, shape))} ({error}); "
        f"change {remedy}"
    )
