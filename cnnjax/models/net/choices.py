"""Networks whose activation, normalization and padding are fields."""

import functools
from collections.abc import Callable
from typing import Any, Literal

from jaxtyping import Array

from cnnjax import nn
from cnnjax.models.net.base import Net
from cnnjax.nn.activations import Activation
from cnnjax.ops.arguments.choices import check_mode


class ChoiceNet(Net):
    """A network of the zoo that leaves three choices open, whose defaults are its paper's.

    A subclass writes `self.activate(x)` where its paper rectifies, `self.norm_layer(train)` where
    it normalizes, and `use_bias=self.needs_bias` in convolutions that a batch norm follows.

    Attributes:
        activation: a name of `nn.ACTIVATIONS`, or a path such as "my_package.layers:mish".
        norm: "batch"; "group", with 32 groups or, where the channels are not a multiple of 32, the
            greatest divisor of the channels below; or "none", with a bias in each convolution
            instead.
        padding_mode: the pixels that convolutions add around their input: "zeros", "replicate",
            "reflect", "circular" or a constant, as in `nn.Conv`. Pools are padded as ever.

    Example:
        >>> import jax
        >>> from cnnjax import models
        >>> net = models.create_model("resnet8_cifar", activation="silu", norm="group")
        >>> images = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")
        >>> variables = jax.eval_shape(net.init, jax.random.key(0), images)
        >>> sorted(variables), sorted(variables["params"]["bn1"])
        (['params'], ['bias', 'scale'])
    """

    activation: str = "relu"
    norm: Literal["batch", "group", "none"] = "batch"
    padding_mode: str | float = "zeros"

    def __post_init__(self) -> None:
        """Checks the values of the fields.

        Raises:
            ValueError: a value is not allowed; the message names the field and the allowed values.
        """
        super().__post_init__()
        nn.find_activation(self.activation)
        # A tuple, so that what has no hash is refused too.
        if self.norm not in tuple(_NORMS):
            raise ValueError(
                f"{type(self).__name__}: norm must be one of {tuple(_NORMS)}, got {self.norm!r}"
            )
        check_mode(type(self).__name__, "padding_mode", self.padding_mode)

    @property
    def activate(self) -> Activation:
        """The function that `activation` names."""
        return nn.find_activation(self.activation)

    @property
    def needs_bias(self) -> bool:
        """Whether convolutions have biases, because no normalization follows that has one."""
        return self.norm == "none"

    @property
    def conv(self) -> functools.partial:
        """`nn.Conv` with this network's dtype, backward rules, initializers and padding mode."""
        return functools.partial(super().conv, padding_mode=self.padding_mode)

    def norm_layer(self, train: bool, **fields: Any) -> Callable[..., Any]:
        """Returns what makes the layer that `norm` names, with this network's dtype.

        Args:
            train: whether batch norm uses the batch's statistics, not the running ones.
            **fields: further fields of the layer, such as `epsilon`.
        """
        return _NORMS[self.norm](self, train, **fields)


def _batch(net: ChoiceNet, train: bool, **fields: Any) -> Callable[..., Any]:
    """Returns what makes a batch norm."""
    return Net.norm_layer(net, train, **fields)


def _group(net: ChoiceNet, train: bool, **fields: Any) -> Callable[..., Any]:
    """Returns what makes a group norm, with batch norm's epsilon."""
    chosen = {"epsilon": nn.BatchNorm.epsilon, **fields}
    return functools.partial(
        nn.GroupNorm, num_groups=32, fit_channels=True, dtype=net.dtype, **chosen
    )


def _none(net: ChoiceNet, train: bool, **fields: Any) -> Callable[..., Any]:
    """Returns what makes a layer without parameters that returns its input."""
    return _no_layer


def _no_layer(**fields: Any) -> Callable[[Array], Array]:
    """Returns the function that returns its argument."""
    return nn.find_activation("identity")


_NORMS: dict[str, Callable[..., Callable[..., Any]]] = {
    "batch": _batch,
    "group": _group,
    "none": _none,
}
