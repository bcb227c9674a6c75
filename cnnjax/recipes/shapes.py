"""Whether a network takes a run's images, found from shapes alone."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.data.augment.policy import Policy
from cnnjax.recipes.config import RunConfig
from cnnjax.training.step.state import init_variables


def check_shapes(
    config: RunConfig, model: nn.Module, policy: Policy, image_shape: tuple[int, int, int]
) -> None:
    """Runs augmentation and network on shapes, so that a wrong size is told before compiling.

    Args:
        config: what was asked for.
        model: the network.
        policy: what is done to training images.
        image_shape: height, width and channels of an image before that, which is an evaluated one.

    Raises:
        ValueError: the network cannot take training or evaluated images, or lacks auxiliary heads.
    """
    key = jax.random.key(0)
    try:
        variables = jax.eval_shape(lambda: init_variables(model, key, image_shape))
    except ValueError as error:
        raise _size_error(config, image_shape, error, "data.resize or data.pad") from error
    if config.loss.auxiliary_weight and "aux1" not in variables["params"]:
        raise ValueError(
            f"loss.auxiliary_weight: {config.loss.auxiliary_weight} was given, but "
            f"{config.model.name} has no auxiliary heads here; set it to 0"
        )
    image = jax.ShapeDtypeStruct(image_shape, jnp.float32)
    label = jax.ShapeDtypeStruct((), jnp.int32)
    augmented = jax.eval_shape(policy, key, {"image": image, "label": label})["image"]
    if augmented.shape == image.shape:
        return
    # Networks that end in a global average train on one size and are evaluated on another.
    images = jax.ShapeDtypeStruct((1, *augmented.shape), jnp.float32)
    try:
        jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, images)
    except ValueError as error:
        raise _size_error(config, augmented.shape, error, "data.augmentation") from error


def _size_error(
    config: RunConfig, shape: tuple[int, ...], error: ValueError, remedy: str
) -> ValueError:
    return ValueError(
        f"model.name: {config.model.name} cannot take images of {'x'.join(map(str, shape))} "
        f"({error}); change {remedy}"
    )
