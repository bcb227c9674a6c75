"""SimCLR: features learned without labels, from two views of each image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import data, nn
from cnnjax.data.examples import Spec
from cnnjax.tasks.base import Batch, Task
from cnnjax.tasks.sections import MetricChart
from cnnjax.tasks.sums import Rows, Sums, mean_share, weighted_sums
from cnnjax.tasks.values import Moment, TaskError
from cnnjax.transfer.few_labels.hidden_labels import hide_labels
from cnnjax.transfer.few_labels.nt_xent import nt_xent
from cnnjax.transfer.few_labels.whole_batch import refuse_parts

VIEWS = ("first", "second")
"""Names of the two views in a batch."""


@dataclass(frozen=True)
class SimCLR(Task):
    """Two views of each image attract each other, and those of different images repel each other.

    Of the source it sees images and no labels: `simclr_stream` hides them. There is no target here;
    what the features are worth shows a linear probe on the frozen encoder, with labels of its own.
    The network gives projections, such as a `ProjectedEncoder` does. Two views are seen in training
    alone, so that a run has no `test`.

    With `pmap` the negatives of a view are those of all devices. A batch that is accumulated in
    parts is refused: it would have fewer negatives.

    Attributes:
        temperature: divides the cosines of the loss, above 0.

    Raises:
        ValueError: the temperature is not above 0.

    Source: Chen et al., 2020, "A simple framework for contrastive learning of visual
        representations", section 2.
    """

    temperature: float = 0.5

    part_kinds = ("image",)
    curves = (
        MetricChart("loss", "Loss", log=True),
        MetricChart(
            "found", "Views whose nearest view is of the same image", percent=True, also="missed"
        ),
    )

    def __post_init__(self) -> None:
        """Refuses a temperature that is not above 0."""
        if not self.temperature > 0:
            raise ValueError(f"task.temperature: {self.temperature} was given; give more than 0")

    def check(self, spec: Spec, outputs: Any) -> None:
        """Refuses a network that does not give a row of values for each image.

        Args:
            spec: not used.
            outputs: shape and dtype of what the network gives for a batch.
        """
        del spec
        shape = getattr(outputs, "shape", None)
        if shape is None or len(shape) != 2:
            raise ValueError(
                "model: SimCLR needs projections [batch, values], such as ProjectedEncoder gives; "
                f"the network gives {shape if shape is not None else type(outputs).__name__}"
            )

    def loss(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        """Runs the network once on both views, and returns a part's share of the mean loss.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: a stream with the views "first" and "second".
            moment: the step, its randomness and its totals.

        Raises:
            ValueError: a view is missing, or the batch is cut into parts.
        """
        refuse_parts("SimCLR", moment)
        if missing := [view for view in VIEWS if view not in batch]:
            raise ValueError(
                f"train: SimCLR needs two views of each image, and {missing[0]!r} is missing; make "
                "the stream with simclr_stream"
            )
        images = jnp.concatenate([batch[view]["image"] for view in VIEWS])
        outputs, updated = nn.apply_network(model, variables, images, train=True, key=moment.key)
        first, second = jnp.split(outputs, 2)
        losses, found = nt_xent(first, second, self.temperature, batch["weight"], moment.axis_name)
        sums = weighted_sums({"loss": losses, "found": found}, batch)
        return mean_share(sums["loss"], moment.totals["weight"]), (sums, updated)

    def evaluate(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Sums, Rows]:
        """Refuses evaluation, in which there is one view of each image.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation.

        Raises:
            TaskError: always.
        """
        raise TaskError(
            "test: SimCLR needs two views of each image, and evaluation has one; leave test out, "
            "and evaluate the encoder by a linear probe"
        )


def simclr_stream(examples: data.Examples, batch_size: int, augmentation: Any) -> data.Stream:
    """Returns a stream with two views of each image, both by one policy, and without labels.

    Args:
        examples: with images; other parts are hidden.
        batch_size: images in a batch: each view has 2 batch_size - 2 negatives.
        augmentation: the policy of both views, such as "resized_crop, flip".

    Raises:
        ValueError: the batch has fewer than two images, so that there are no negatives.

    Example:
        >>> import numpy as np
        >>> from cnnjax import data
        >>> images = np.zeros((8, 8, 8, 1), np.uint8)
        >>> examples = data.from_arrays(image=images, label=np.zeros(8, int))
        >>> stream = simclr_stream(examples, 4, "crop(1)")
        >>> list(stream.policies), list(stream.examples.spec)
        (['first', 'second'], ['image'])
    """
    if isinstance(batch_size, int) and batch_size < 2:
        raise ValueError(
            f"batch_size: {batch_size} was given; give 2 or more, so that there are negatives"
        )
    return data.Stream(hide_labels(examples), batch_size, views=dict.fromkeys(VIEWS, augmentation))
