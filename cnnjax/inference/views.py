"""Test-time augmentation: several views of each image, whose predictions are joined.

All views of an image are evaluated together, so that each image counts once.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from cnnjax import models, nn
from cnnjax.data import Preprocess
from cnnjax.tasks.base import Task
from cnnjax.training.errors import ConfigError

Crops = Literal["whole", "center", "ten", "dense"]
Images = Float[Array, "batch height width channels"]


@dataclass(frozen=True)
class Views:
    """The views of an image for which a network predicts.

    Attributes:
        crops: "whole": the image as in evaluation during training; "center": a square of the
            network's size from the middle of the enlarged image; "ten": such squares from its
            corners and its middle, and their mirror images (Krizhevsky et al. 2012, section 4.1);
            "dense": the network is moved over the enlarged image, and its class scores are averaged
            over all positions (Simonyan and Zisserman 2014, section 3.2).
        scales: sides in pixels of the squares to which the image is enlarged first; each side gives
            views of its own. Empty: 8/7 of the network's size for "center" and "ten" (256 for 224),
            and the network's size for "dense".
        flip: whether the mirror image of each view is a view too.
    """

    crops: Crops = "whole"
    scales: tuple[int, ...] = ()
    flip: bool = False

    def sides(self, size: int) -> tuple[int, ...]:
        """Returns the sides in pixels to which images are enlarged; none for the whole image.

        Args:
            size: height and width of a network input.
        """
        if self.crops == "whole":
            return ()
        return self.scales or (size if self.crops == "dense" else round(size * 256 / 224),)

    def check(self, image_shape: tuple[int, int, int], pad: int = 0) -> None:
        """Refuses views that do not fit a network of an input shape.

        Args:
            image_shape: height, width and channels of a network input.
            pad: pixels of zero that belong to the input on each side.

        Raises:
            ConfigError: they do not fit, or contradict each other.
        """
        if self.crops not in get_args(Crops):
            raise ConfigError(f"crops: {self.crops!r} is unknown; give one of {get_args(Crops)}")
        if self.crops == "whole":
            if self.scales:
                raise ConfigError(
                    f"scales: {list(self.scales)} were given, but crops=whole shows the image at "
                    "the network's own size; give crops=center, ten or dense"
                )
            return
        if self.crops == "ten" and self.flip:
            raise ConfigError("flip: the ten crops hold mirror images already; leave flip out")
        height, width, _ = image_shape
        if height != width:
            raise ConfigError(
                f"crops: {self.crops} needs a network for square images, not {height}x{width}; "
                "give crops=whole"
            )
        for side in self.sides(height):
            if side < height or side <= 2 * pad:
                raise ConfigError(
                    f"scales: {side} is less than the network's image size, {height}; "
                    "give that size or more"
                )

    def inputs(
        self, preprocess: Preprocess, images: UInt8[Array, "batch h w channels"], size: int
    ) -> list[Float[Array, "views batch _ _ channels"]]:
        """Returns the network inputs of all views, those of one shape together.

        Args:
            preprocess: from stored images to network inputs, as in evaluation during training.
            images: as stored.
            size: height and width of a network input (not used by "whole").
        """
        if self.crops == "whole":
            return [self._mirrored([preprocess.images(images)])]
        # The side of an enlarged image includes the padding.
        margin = 2 * preprocess.pad
        groups = []
        for side in self.sides(size):
            square = dataclasses.replace(preprocess, resize=side - margin).images(images)
            if self.crops == "dense":
                groups.append(self._mirrored([square]))
                continue
            last = side - size
            places = [(last // 2, last // 2)]
            if self.crops == "ten":
                places += [(top, left) for top in (0, last) for left in (0, last)]
            crops = [square[:, top : top + size, left : left + size] for top, left in places]
            groups.append(self._mirrored(crops))
        return groups

    def _mirrored(self, views: list[Images]) -> Float[Array, "views batch height width channels"]:
        # The ten crops of Krizhevsky et al. are five and their mirror images.
        if self.flip or self.crops == "ten":
            views = [*views, *(view[:, :, ::-1] for view in views)]
        return jnp.stack(views)

    def predictions(
        self,
        model: linen.Module,
        variables: Mapping[str, Any],
        task: Task,
        preprocess: Preprocess,
        images: UInt8[Array, "batch h w channels"],
        size: int,
        average: str = "task",
    ) -> Any:
        """Returns the task's predictions [batch, ...], joined over all views.

        Args:
            model: the network.
            variables: its parameters and other collections.
            task: its task.
            preprocess: see `inputs`.
            images: see `inputs`.
            size: see `inputs`.
            average: how they are joined; see `Ensemble`.

        Raises:
            ValueError: the network cannot be moved over larger images, which "dense" needs.
            TaskError: the task's predictions cannot be joined.
        """

        def of_view(view: Images) -> Any:
            if self.crops == "dense":
                return task.predict(models.apply_densely(model, variables, view))
            return task.predict(nn.apply_network(model, variables, view, train=False))

        # A loop over views: the network is compiled once per shape, and memory stays small.
        groups = [jax.lax.map(of_view, group) for group in self.inputs(preprocess, images, size)]
        whole = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *groups)
        return combined(task, whole, average)

    def describe(self, size: int) -> str:
        """Returns a short description of the views.

        Args:
            size: height and width of a network input.
        """
        if self.crops == "whole":
            return "the whole image" + (" and its mirror image" if self.flip else "")
        scales = ", ".join(map(str, self.sides(size)))
        kinds = {
            "center": f"the center crop of {size} pixels",
            "ten": f"ten crops of {size} pixels",
            "dense": f"all positions of a window of {size} pixels",
        }
        flips = ", each mirrored too" if self.flip else ""
        return f"{kinds[self.crops]} at scale {scales}{flips}"


WHOLE_IMAGE = Views()
"""The image as in evaluation during training."""


def combined(task: Task, predictions: Any, average: str = "task") -> Any:
    """Returns predictions [batch, ...] joined over their members; those of one member unchanged.

    Args:
        task: the task, whose `combine` joins them.
        predictions: [members, batch, ...], one member for each view of each network.
        average: "task", or a further way of the task's; see `Task.averages`.

    Raises:
        TaskError: there are several members, and the task's predictions cannot be joined.
    """
    if jax.tree.leaves(predictions)[0].shape[0] == 1:
        return jax.tree.map(lambda leaf: leaf[0], predictions)
    return (task.combine if average == "task" else task.averages[average])(predictions)
