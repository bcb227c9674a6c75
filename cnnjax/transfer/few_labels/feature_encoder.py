"""A network of the zoo up to one of its named features, and a projection head on it."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import data, nn, tasks
from cnnjax.models.net import Net
from cnnjax.training.loop.prediction import make_predictor

Images = Float[Array, "batch height width channels"]


class FeatureEncoder(linen.Module):
    """A network that returns one of its named features, a row for each image, and no logits.

    Its variables are those of the network without the layers after the feature, under the same
    names: each can start from the other's.

    Attributes:
        network: the network of the zoo, unbound.
        layer: name of the feature, as `models.feature_info` lists them.
        average: whether feature maps are averaged over their positions; otherwise all their values
            are a row.

    Example:
        >>> import jax
        >>> from cnnjax import models
        >>> net = FeatureEncoder(models.create_model("simple_cnn"), "stage3")
        >>> images = jax.ShapeDtypeStruct((2, 16, 16, 1), "float32")
        >>> rows, variables = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
        >>> rows.shape, "classifier" in variables["params"]
        ((2, 256), False)
    """

    network: linen.Module
    layer: str
    average: bool = False

    def __post_init__(self) -> None:
        """Refuses a network whose features have no names.

        Raises:
            ValueError: the network is none of the zoo.
        """
        super().__post_init__()
        if not isinstance(self.network, Net):
            raise ValueError(
                f"network: {type(self.network).__name__} has no named features; give a network of "
                "models.create_model, or derive yours from models.Net"
            )

    def setup(self) -> None:
        """Gives the network's variables this module's own place."""
        linen.share_scope(self, self.network)

    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch values"]:
        """Returns the feature of each image.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics, and dropout is on.

        Raises:
            ValueError: the network has no such feature; the message names those that it has.
        """
        seen: list[str] = []

        def intercept(
            method: Callable[..., Any],
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
            context: linen.module.InterceptorContext,
        ) -> Any:
            if context.module is not self.network or context.method_name != "feature":
                return method(*args, **kwargs)
            name, value = args
            seen.append(name)
            if name == self.layer:
                raise _FeatureError(value)
            return value

        try:
            with linen.intercept_methods(intercept):
                self.network(x, train)
        # The layers after the feature are neither created nor computed.
        except _FeatureError as found:
            return self._rows(found.value)
        raise ValueError(
            f"layer: {type(self.network).__name__} has no feature {self.layer!r}; it has "
            f"{', '.join(seen) or 'none'}"
        )

    def _rows(self, values: Array) -> Float[Array, "batch values"]:
        if self.average and values.ndim == 4:
            return values.mean(axis=(1, 2))
        return values.reshape(len(values), -1)


class _FeatureError(Exception):
    """Ends a network's call at a feature."""

    def __init__(self, value: Array):
        super().__init__()
        self.value = value


class ProjectedEncoder(linen.Module):
    """An encoder with a projection head, which is thrown away after the training.

    Attributes:
        encoder: gives the features h of each image.
        hidden: units of the head's hidden layer.
        outputs: units of the projection z = W2 relu(W1 h).
        dtype: of the computation.

    Source: Chen et al., 2020, section 2.1.

    Example:
        >>> import jax
        >>> from cnnjax import models
        >>> encoder = FeatureEncoder(models.create_model("simple_cnn"), "stage3", average=True)
        >>> net = ProjectedEncoder(encoder, hidden=64, outputs=32)
        >>> images = jax.ShapeDtypeStruct((2, 16, 16, 1), "float32")
        >>> projections, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
        >>> projections.shape
        (2, 32)
    """

    encoder: FeatureEncoder
    hidden: int = 128
    outputs: int = 64
    dtype: Any = jnp.float32

    @linen.compact
    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch outputs"]:
        """Returns the projection of each image.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics, and dropout is on.
        """
        features = self.encoder(x, train)
        hidden = linen.relu(nn.Dense(self.hidden, dtype=self.dtype, name="hidden")(features))
        return nn.Dense(self.outputs, dtype=self.dtype, name="projection")(hidden)


def encoder_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the variables of the encoder within a `ProjectedEncoder`, without the head's.

    Args:
        variables: those of the `ProjectedEncoder`.

    Raises:
        ValueError: they are not of such a network.
    """
    if "encoder" not in variables.get("params", {}):
        raise ValueError(
            "variables: they have no encoder; give those of a ProjectedEncoder, such as "
            "result.variables of a run that trained one"
        )
    return {name: values["encoder"] for name, values in variables.items() if "encoder" in values}


def embed(
    model: linen.Module,
    variables: Mapping[str, Any],
    examples: data.Examples,
    preprocess: data.Preprocess,
) -> Float[np.ndarray, "examples values"]:
    """Returns a network's outputs for all examples, as it gives them in evaluation.

    Args:
        model: a network that gives a row for each image, such as a `FeatureEncoder`.
        variables: its variables, which may have more layers than it needs.
        examples: their images; nothing else of them is read.
        preprocess: from stored images to network inputs.
    """
    predict = make_predictor(model, tasks.Task(), preprocess)
    return predict(variables, data.lazy_images(examples))
