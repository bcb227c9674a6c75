"""The weights that a configuration names to start from: of a run, of a file, of the hub."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as linen

from cnnjax import models
from cnnjax.models.net import Net
from cnnjax.models.weights.hub import HUB_PREFIX, weights_path
from cnnjax.recipes.layer_order import layer_groups, patterns_from
from cnnjax.recipes.saved_run import read_variables
from cnnjax.recipes.schema import ModelConfig
from cnnjax.training.errors import ConfigError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StartingWeights:
    """A `training.Start` from the weights that a configuration names.

    Attributes:
        model: the network that starts from them.
        section: the configuration's section on the network.
        image_shape: height, width and channels of the images; None adapts no kernel to them.
        data_dir: TFDS data folder, where the dataset of another run is described.
    """

    model: linen.Module
    section: ModelConfig
    image_shape: tuple[int, int, int] | None
    data_dir: str | None = None

    def plan(self, shapes: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what is loaded, adapted, fresh and skipped; see `training.Start.plan`.

        Args:
            shapes: those of the network's variables.
        """
        given, started = self._start(shapes)
        return {
            "weights": self.section.weights,
            "source": given.source,
            "sha256": given.sha256,
            **started.describe(),
        }

    def variables(self, initialized: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the variables to start from; see `training.Start.variables`.

        Args:
            initialized: the network's own initialization.
        """
        given, started = self._start(initialized)
        _logger.info(
            "starting from %s (%s): %d arrays loaded, %d adapted to the images' channels, %d "
            "fresh, %d skipped",
            given.origin,
            given.source,
            *map(len, (started.loaded, started.adapted, started.fresh, started.skipped)),
        )
        if started.fresh:
            _logger.info("fresh: %s", ", ".join(started.fresh))
        return started.variables

    def _start(self, variables: Mapping[str, Any]) -> tuple[models.GivenArrays, models.Started]:
        part = self.section.part
        channels = None if self.image_shape is None else self.image_shape[2]
        try:
            fresh = (*self.section.fresh, *self._fresh_from())
            given = self._read(variables)
            if part:
                started = models.start_part_from(
                    variables, part, given, fresh=fresh, image_channels=channels
                )
            else:
                started = models.start_from(
                    variables,
                    given,
                    classifiers=getattr(self.model, "classifiers", ()),
                    fresh=fresh,
                    image_channels=channels,
                )
        except (ValueError, OSError, ImportError) as error:
            raise ConfigError(f"model.weights: {error}") from error
        return given, started

    def _fresh_from(self) -> tuple[str, ...]:
        """Returns patterns of the layers from the one on that `fresh_from` names."""
        first, part = self.section.fresh_from, self.section.part
        if not first:
            return ()
        if self.image_shape is None:
            raise ValueError("fresh_from: the order of layers needs the images' shape; give it")
        groups = layer_groups(self.model, self.image_shape)
        if part:
            prefix = f"{part}/"
            inside = [[n.removeprefix(prefix) for n in g if n.startswith(prefix)] for g in groups]
            groups = [group for group in inside if group]
        return patterns_from(groups, first)

    def _read(self, variables: Mapping[str, Any]) -> models.GivenArrays:
        name = self.section.weights
        path = weights_path(name)
        if path.is_dir():
            step, trained = read_variables(path, self.data_dir)
            return models.given_by_variables(f"{path}, step {step}", trained)
        if not path.is_file():
            raise FileNotFoundError(
                f"{name}: there is no such file or folder; give a run's folder, a safetensors "
                f"file, or {HUB_PREFIX}NAME"
            )
        part = self.section.part
        if not part:
            return models.read_given(self.model, variables, path, None)
        if not isinstance(self.model, Net):
            raise ValueError(f"model.part: {type(self.model).__name__} has no parts with names")
        inner = {name: tree[part] for name, tree in variables.items() if part in tree}
        return models.read_given(self.model.part(part), inner, path, None)
