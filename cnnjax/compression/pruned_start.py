"""A run that starts from the pruned filters of a network that another run trains."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as linen
import jax
import numpy as np

from cnnjax import models, training
from cnnjax.compression.channel_groups import variable_shapes
from cnnjax.compression.choose_channels import By, Ratio
from cnnjax.compression.filters import PrunedNetwork, prune_filters


@dataclass(frozen=True)
class PrunedStart:
    """A `training.Start` from a file of weights, whose smallest filters are removed.

    The file is read when training starts. How many channels each layer loses does not depend on its
    values, so that `model` is known before.

    Attributes:
        parent: the network whose weights the file holds.
        weights: the safetensors file.
        input_shape: height, width and channels of an image.
        ratio: see `prune_filters`.
        multiply_adds: see `prune_filters`.
        keep: see `prune_filters`.
        multiple: see `prune_filters`.
        by: see `prune_filters`.
        seed: see `prune_filters`.
    """

    parent: linen.Module
    weights: Path
    input_shape: tuple[int, int, int]
    ratio: Ratio | None = None
    multiply_adds: float | None = None
    keep: tuple[str, ...] = ()
    multiple: int = 1
    by: By = "l1"
    seed: int = 0

    @property
    def model(self) -> linen.Module:
        """The pruned network, which the run trains.

        Raises:
            ConfigError: the network cannot be pruned so; the message gives the reason.
        """
        shapes = variable_shapes(self.parent, self.input_shape)
        return self._pruned(jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)).model

    def plan(self, shapes: Mapping[str, Any]) -> dict[str, Any]:
        """Returns where the variables come from; see `training.Start.plan`.

        Args:
            shapes: those of the pruned network's variables.
        """
        pruned = self._read(shapes)
        return {
            "weights": str(self.weights),
            "multiply_adds": list(pruned.multiply_adds),
            "parameters": list(pruned.parameters),
            "channels": {group.name: [group.before, group.after] for group in pruned.groups},
        }

    def variables(self, initialized: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the pruned variables; see `training.Start.variables`.

        Args:
            initialized: the pruned network's own initialization.
        """
        return self._read(initialized).variables

    def _read(self, like: Mapping[str, Any]) -> PrunedNetwork:
        try:
            shapes = variable_shapes(self.parent, self.input_shape)
            given = models.read_given(self.parent, shapes, self.weights, None)
            trained = models.start_from(shapes, given).variables
        except (ValueError, OSError) as error:
            raise training.ConfigError(f"weights: {error}") from error
        pruned = self._pruned(trained)
        found, needed = (jax.tree.map(np.shape, dict(tree)) for tree in (pruned.variables, like))
        if found != needed:
            raise training.ConfigError(
                f"model: the run's network is not {self.weights} pruned; take the model of the "
                "start, run.replace(model=start.model, start=start)"
            )
        return pruned

    def _pruned(self, variables: Mapping[str, Any]) -> PrunedNetwork:
        try:
            return prune_filters(
                self.parent,
                variables,
                self.input_shape,
                self.ratio,
                multiply_adds=self.multiply_adds,
                keep=self.keep,
                multiple=self.multiple,
                by=self.by,
                seed=self.seed,
            )
        except (ValueError, TypeError) as error:
            raise training.ConfigError(f"pruning: {error}") from error
