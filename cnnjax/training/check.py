"""Checks, from shapes alone, that the parts of a run fit together; nothing is compiled."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.errors import FlaxError

from cnnjax import data, nn, patterns
from cnnjax.tasks.base import Moment
from cnnjax.training.errors import ConfigError
from cnnjax.training.loop.evaluation import batch_values
from cnnjax.training.run import Run
from cnnjax.training.step.batch import kinds_of
from cnnjax.training.step.gradients import check_parts
from cnnjax.training.step.state import TrainState

_SHAPE_ERRORS = (ValueError, TypeError, FlaxError)
"""What networks raise where they cannot take the size of the images."""


def check_run(run: Run) -> TrainState:
    """Runs augmentation, network, task and optimizer on shapes.

    The network is traced three times: its initialization, in evaluation, and in training.

    Args:
        run: the run. Where it has `shapes`, only what depends on its examples' values is checked.

    Returns:
        The shapes of the state before the first step.

    Raises:
        ConfigError: the network cannot take the images that training or evaluation gives it, the
            task cannot use the network or the examples, or rules match no parameter.
    """
    try:
        return _check(run)
    except (ValueError, FlaxError) as error:
        raise ConfigError(str(error)) from error
    except NameError as error:
        # jax raises it where a layer averages over a mapped axis that does not exist.
        if "axis name" not in str(error):
            raise
        raise ConfigError(
            f"model: a layer of {run.names[0]} averages over a mapped axis that does not exist "
            f"({error}); leave out its axis_name: batch statistics are of the examples that the "
            "setting batch_norm names, on however many devices"
        ) from error


def _check(run: Run) -> TrainState:
    for examples in (run.main.examples, run.test):
        if examples is not None and examples.arrays is not None:
            run.task.check_values(examples.arrays)
    if run.shapes is not None:
        # An order may need labels, or more examples than there are.
        _ = run.orders
        return run.shapes
    spec = run.main.examples.spec
    if "image" not in spec:
        raise ValueError(f"train: the examples have no part image; they have {', '.join(spec)}")
    # Only the lengths count: nothing is computed from these arrays.
    sizes = {name: jnp.zeros(order.batch_size) for name, order in run.orders.items()}
    check_parts(sizes, run.accumulate)
    variables = network_shapes(run, run.image_shape)
    if not variables.get("params"):
        raise ValueError(
            f"model: {run.names[0]} has no parameters, so that there is nothing to learn"
        )
    _check_variables(run, variables)
    outputs = _outputs(run, variables, run.image_shape, "preprocess (data.resize, data.pad)")
    run.task.check(spec, outputs)
    # Only the task knows what the network gets from further streams: see `_check_loss`.
    for view, policy in run.main.policies.items():
        shape = _augmented(run, policy)
        if shape != run.image_shape:
            # Networks that end in a global average may train on one size and evaluate on another.
            key = f"views.{view}" if view else "augmentation"
            _outputs(run, variables, shape, f"the augmentation (data.{key})")
    # Making the optimizer's state raises where a rule matches no parameter.
    shapes = jax.eval_shape(run.first_state, variables)
    _check_loss(run, variables)
    _check_update(run, shapes)
    if run.test is not None:
        _check_test(run, run.test, variables)
    return shapes


def state_shapes(run: Run) -> TrainState:
    """Returns the shapes of the state before the first step.

    Args:
        run: the run; the network is traced unless it has `shapes`.
    """
    if run.shapes is not None:
        return run.shapes
    # The shapes are the same wherever the values come from.
    return jax.eval_shape(run.replace(start=None).init_state)


def check_shapes(run: Run, state: TrainState) -> None:
    """Refuses a state whose shapes are not those with which the run was checked.

    Args:
        run: a checked run.
        state: its state.

    Raises:
        ConfigError: the run has other shapes.
    """
    expected, found = _forms(run.shapes), _forms(state)
    differing = [path for path in {**expected, **found} if expected.get(path) != found.get(path)]
    if differing:
        path = differing[0]
        raise ConfigError(
            f"shapes: {path} is {expected.get(path, 'missing')} in the run's shapes, but "
            f"{found.get(path, 'missing')} in its state; leave shapes out, so that the run is "
            "checked"
        )


def _forms(state: Any) -> dict[str, str]:
    """Returns dtype and shape of each array by its path."""
    leaves = zip(patterns.path_names(state), jax.tree.leaves(state), strict=True)
    return {path: f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}


def _check_loss(run: Run, variables: Any) -> None:
    """Computes the loss of a training batch: a task may refuse the batch or the network."""

    def loss(variables: Any) -> Any:
        batch = run.make_batch({name: _blank(run, name) for name in run.streams}, 0)
        moment = Moment(
            run.keys["dropout"],
            train=True,
            totals=run.task.totals(batch),
            averages=variables if run.ema_decay else None,
            state=run.task.init_state(),
            parts=run.accumulate,
        )
        return run.task.loss(run.model, variables, batch, moment)

    try:
        jax.eval_shape(loss, variables)
    except KeyError as error:
        views = ", ".join(run.main.views or ())
        remedy = (
            f"its parts are in the views {views}: give a task that reads these"
            if views
            else f"the first stream has {', '.join(run.main.examples.spec)}"
        )
        raise ValueError(
            f"train: {type(run.task).__name__} needs {error} in a batch; {remedy}"
        ) from error


def _check_variables(run: Run, own: Mapping[str, Any]) -> None:
    """Refuses variables to start from that are not the network's."""
    given = run.variables or {}
    unknown = [name for name in given if name not in own]
    if unknown and len(unknown) == len(given):
        raise ValueError(
            f"variables: {unknown[0]!r} is no collection of {run.names[0]}; it has "
            f"{', '.join(own)}: give {{'params': …}}, not the parameters themselves"
        )
    for name, collection in given.items():
        # A further collection is the user's own.
        if name not in own:
            continue
        expected, found = (_sizes(tree) for tree in (own[name], collection))
        differing = [p for p in {**expected, **found} if expected.get(p) != found.get(p)]
        if differing:
            path = differing[0]
            raise ValueError(
                f"variables: {name}/{path} is {found.get(path, 'missing')}, but "
                f"{expected.get(path, 'missing')} in {run.names[0]}; give variables of this "
                "network"
            )


def _sizes(tree: Any) -> dict[str, str]:
    """Returns the shape of each array by its path."""
    leaves = zip(patterns.path_names(tree), jax.tree.leaves(tree), strict=True)
    return {path: f"of the shape {list(jnp.shape(leaf))}" for path, leaf in leaves}


def _check_update(run: Run, state: TrainState) -> None:
    """Traces the optimizer's update: it may need what a step has not."""

    def update(state: TrainState) -> Any:
        optimizer = optax.with_extra_args_support(run.make_optimizer(state.params))
        return optimizer.update(state.params, state.opt_state, state.params, value=jnp.zeros(()))

    try:
        # Whether dtypes may be mixed is not what is asked here.
        with jax.numpy_dtype_promotion("standard"):
            jax.eval_shape(update, state)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"optimizer: its update fails ({error}); give an optax transformation that needs "
            "gradients, parameters and the loss alone, such as optax.adam(1e-3)"
        ) from error


def _check_test(run: Run, test: data.Examples, variables: Any) -> None:
    """Traces the evaluation of a batch of the examples that are evaluated."""
    values = batch_values(run.model, run.task, run.preprocess, test)
    blank = {p: jnp.zeros((2, *form.shape), form.dtype) for p, form in test.spec.items()}
    batch = {**blank, "weight": jnp.ones(2)}
    try:
        jax.eval_shape(lambda v: values(v, run.task.init_state(), batch), variables)
    except KeyError as error:
        raise ValueError(
            f"test: the evaluation needs a part {error}; the examples have {', '.join(test.spec)}"
        ) from error
    except _SHAPE_ERRORS as error:
        raise ValueError(f"test: these examples cannot be evaluated: {error}") from error


def _blank(run: Run, name: str) -> dict[str, Any]:
    """Returns a batch of stored examples of a stream, all zero."""
    size, spec = run.orders[name].batch_size, run.streams[name].examples.spec
    stored = {part: jnp.zeros((size, *form.shape), form.dtype) for part, form in spec.items()}
    numbers = {beside: jnp.zeros(size, jnp.int32) for beside in ("position", "draw")}
    return {**stored, **numbers, "weight": jnp.ones(size)}


def network_shapes(run: Run, image_shape: tuple[int, ...]) -> Any:
    """Returns the shapes of the network's variables.

    Args:
        run: the run with the network.
        image_shape: (height, width, channels) of the network's inputs.

    Raises:
        ValueError: the network cannot take such images; the message names what to change.
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


def _augmented(run: Run, policy: Any) -> tuple[int, ...]:
    """Returns the shape of an augmented image of the first stream."""
    examples = run.main.examples
    kinds = kinds_of(examples)
    stored = {
        part: jax.ShapeDtypeStruct((1, *spec.shape), spec.dtype)
        for part, spec in examples.spec.items()
    }

    def augmented(parts: Any) -> Any:
        unit = run.preprocess.to_unit(parts, kinds)
        one = {part: value[0] for part, value in unit.items()}
        return policy(jax.random.key(0), one, kinds)

    return jax.eval_shape(augmented, stored)["image"].shape


def _size_error(run: Run, shape: tuple[int, ...], error: Exception, remedy: str) -> ValueError:
    return ValueError(
        f"model: {run.names[0]} cannot take images of {'x'.join(map(str, shape))} ({error}); "
        f"where the size is at fault, change {remedy}"
    )
