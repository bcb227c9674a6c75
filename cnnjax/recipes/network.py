"""The network of a run, from its configuration, and the statistics of its inputs."""

import flax.linen as linen
import jax.numpy as jnp

from cnnjax import data, models
from cnnjax.recipes.config import RunConfig

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16, "float16": jnp.float16}
"""The computation's dtype for each `precision` of a configuration; parameters are float32."""


def make_network(config: RunConfig, num_classes: int) -> linen.Module:
    """Returns the network of a configuration.

    Args:
        config: the checked configuration.
        num_classes: number of outputs.

    Raises:
        ValueError: its name or overrides are unknown, or overrides set what has a key of its own.
    """
    overrides = dict(config.model.overrides)
    for key, instead in (("dtype", "precision"), ("num_classes", "data.name")):
        if key in overrides:
            raise ValueError(f"model.overrides.{key} cannot be set; set {instead} instead")
    if config.initialization is not None:
        if "initialization" in overrides:
            raise ValueError(
                f"initialization: {config.initialization!r} was given, and model.overrides has "
                f"{overrides['initialization']!r} for it; leave one out"
            )
        overrides["initialization"] = config.initialization
    return models.create_model(
        config.model.name, num_classes, DTYPES[config.precision], **overrides
    )


def input_statistics(
    config: RunConfig, dataset: data.Dataset, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the mean and the standard deviation by which pixels from 0 to 1 are normalized.

    Args:
        config: the checked configuration.
        dataset: the dataset.
        channels: of its images.

    Raises:
        ValueError: `data.normalization` is "model", and the network states the statistics of
            another number of channels.
    """
    if config.data.normalization != "model":
        return dataset.mean, dataset.std
    info = models.model_info(config.model.name, config.model.overrides.get("variant"))
    if len(info.mean) != channels:
        raise ValueError(
            f"data.normalization: {config.model.name} states the statistics of "
            f"{len(info.mean)} channels, but {dataset.name} has {channels}; set it to 'dataset'"
        )
    # The network's statistics are for pixels whose white is `scale`; ours are for white 1.
    mean = tuple(value / info.scale for value in info.mean)
    return mean, tuple(value / info.scale for value in info.std)
