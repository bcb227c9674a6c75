"""The state of a training run: one pytree, everything a step changes."""

from typing import Any

import flax.struct
import jax.numpy as jnp
import optax
from jaxtyping import Array

from cnnjax.training.step.ema import start_average
from cnnjax.training.step.loss_scaling import LossScale


class TrainState(flax.struct.PyTreeNode):
    """What a step takes and returns.

    Attributes:
        step: number of steps done, an int32 scalar.
        params: the trained parameters.
        collections: the model's other collections (`batch_stats`), by name.
        opt_state: the optimizer's state.
        ema: moving averages of `params` and `collections`, by those names; None where off.
        loss_scale: state of float16's loss scaling; None where off.
        task_state: the task's own state; empty where it has none.
    """

    # No shape: tree maps also put shapes, shardings and one value per device here.
    step: Array
    params: Any
    collections: dict[str, Any]
    opt_state: optax.OptState
    ema: dict[str, Any] | None = None
    loss_scale: LossScale | None = None
    task_state: Any = ()

    @property
    def variables(self) -> dict[str, Any]:
        """The trained variables, as `model.apply` takes them."""
        return {"params": self.params, **self.collections}

    @property
    def average_variables(self) -> dict[str, Any] | None:
        """The moving averages, as `model.apply` takes them; None where there are none."""
        if self.ema is None:
            return None
        return {"params": self.ema["params"], **self.ema["collections"]}

    @property
    def eval_variables(self) -> dict[str, Any]:
        """The variables to evaluate: the moving averages where there are any."""
        return self.average_variables or self.variables


def create_state(
    variables: dict[str, Any],
    optimizer: optax.GradientTransformation,
    *,
    ema: bool = False,
    loss_scaling: bool = False,
    task_state: Any = (),
) -> TrainState:
    """Returns the state before the first step.

    Args:
        variables: the network's, as `nn.init_network` makes them.
        optimizer: the update rule, whose state is made.
        ema: whether moving averages are kept.
        loss_scaling: whether the loss is scaled, as float16 needs it.
        task_state: the task's state, as `Task.init_state` makes it.
    """
    collections = {name: value for name, value in variables.items() if name != "params"}
    params = variables["params"]
    return TrainState(
        step=jnp.int32(0),
        params=params,
        collections=collections,
        opt_state=optimizer.init(params),
        ema=start_average(params, collections) if ema else None,
        loss_scale=LossScale.create() if loss_scaling else None,
        task_state=task_state,
    )
