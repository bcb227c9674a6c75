"""The state of a training run: one pytree, everything a step changes."""

from typing import Any

import flax.struct
import jax.numpy as jnp
import optax
from flax import linen
from jaxtyping import Array, Int32, Key

from cnnjax import nn
from cnnjax.training.step.ema import start_average
from cnnjax.training.step.loss_scaling import LossScale


class TrainState(flax.struct.PyTreeNode):
    """What a step takes and gives back.

    Attributes:
        step: number of steps done, int32.
        params: the trained parameters.
        collections: the model's other collections (`batch_stats`), by name.
        opt_state: the optimiser's state.
        ema: moving averages of `params` and `collections`, by those names; None where off.
        loss_scale: state of float16's loss scaling; None where off.
    """

    step: Int32[Array, ""]
    params: Any
    collections: dict[str, Any]
    opt_state: optax.OptState
    ema: dict[str, Any] | None = None
    loss_scale: LossScale | None = None

    @property
    def variables(self) -> dict[str, Any]:
        """What is trained, as `model.apply` takes it."""
        return {"params": self.params, **self.collections}

    @property
    def eval_variables(self) -> dict[str, Any]:
        """What is evaluated, as `model.apply` takes it: the moving averages where there are any."""
        if self.ema is None:
            return self.variables
        return {"params": self.ema["params"], **self.ema["collections"]}


def init_variables(
    model: linen.Module, key: Key[Array, ""], image_shape: tuple[int, int, int]
) -> dict[str, Any]:
    """Returns fresh variables of a model for images of that height, width and channels."""
    return nn.init_network(model, key, jnp.zeros((1, *image_shape), jnp.float32))


def create_state(
    variables: dict[str, Any],
    optimizer: optax.GradientTransformation,
    *,
    ema: bool = False,
    loss_scaling: bool = False,
) -> TrainState:
    """Returns the state before the first step.

    Args:
        variables: the network's, as `init_variables` makes them.
        optimizer: whose state is made.
        ema: whether moving averages are kept.
        loss_scaling: whether the loss is scaled, as float16 needs it.
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
    )
