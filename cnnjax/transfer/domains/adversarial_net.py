"""Any network with a second head, which guesses from a named feature what domain an image is of."""

from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.models.features import feature_shapes
from cnnjax.models.net import FEATURES, Net
from cnnjax.nearest import did_you_mean
from cnnjax.nn.calling import mode_arguments

Images = Float[Array, "batch height width channels"]


class DomainHead(linen.Module):
    """Dense layers from a feature to the logits of two domains, source and target.

    Attributes:
        hidden: units of the rectified layers before the last one.
    """

    hidden: tuple[int, ...] = (100,)

    @linen.compact
    def __call__(self, x: Float[Array, "batch *feature"]) -> Float[Array, "batch 2"]:
        """Returns the logits of the domains.

        Args:
            x: a feature of each image, of any shape.
        """
        x = x.reshape(x.shape[0], -1)
        initializer = linen.initializers.he_normal()
        for number, units in enumerate(self.hidden, start=1):
            x = ops.relu(nn.Dense(units, kernel_init=initializer, name=f"hidden{number}")(x))
        return nn.Dense(2, name="classifier")(x)


class AdversarialNet(linen.Module):
    """A network with a second head, which learns the domain of an image from a feature.

    Called as any network, it returns the network's logits. `with_domains` returns those of the
    domain head too, before which the gradient is reversed. The network's variables are below
    "network", those of the head below "domain_head".

    Attributes:
        network: a network of the zoo, or one of your own derived from `models.net.Net`.
        feature: name of the activation that the head sees; `models.feature_info` lists the names.
        hidden: units of the head's layers before its last one.

    Raises:
        ValueError: the network has no named features, or `hidden` is no tuple of sizes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import models
        >>> from cnnjax.transfer import domains
        >>> network = models.create_model("simple_cnn", 10, widths=(8, 16))
        >>> model = domains.AdversarialNet(network, "stage2")
        >>> images = jnp.zeros((4, 16, 16, 1))
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> sorted(variables["params"])
        ['domain_head', 'network']
        >>> model.apply(variables, images).shape
        (4, 10)

    Source: Ganin et al. 2016, figure 1; a hidden layer of 100 units is that of their figure 4(a).
    """

    network: linen.Module
    feature: str
    hidden: tuple[int, ...] = (100,)

    def __post_init__(self) -> None:
        """Refuses a network without named features, and sizes that are none."""
        super().__post_init__()
        sizes: Any = self.hidden
        # To Python True is a whole number.
        if not isinstance(sizes, tuple) or any(type(n) is not int or n < 1 for n in sizes):
            raise ValueError(
                f"AdversarialNet: hidden must be a tuple of whole numbers from 1 on, got {sizes!r}"
            )
        # Within a call, Flax makes copies whose submodules are still being bound.
        if self.parent is None and not isinstance(self.network, Net):
            raise ValueError(
                f"AdversarialNet: {type(self.network).__name__} has no named features; give a "
                "network of models.create_model, or derive yours from models.net.Net"
            )

    def setup(self) -> None:
        """Makes the head."""
        self.domain_head = DomainHead(self.hidden)

    def __call__(self, x: Images, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns the network's logits.

        Args:
            x: images.
            train: whether the network is in training mode.
        """
        if self.is_initializing():
            # A network has no features while it is initialized; their shapes are known.
            network: Any = self.network.clone(parent=None, name=None)
            height, width, channels = x.shape[1:]
            shapes = feature_shapes(network, (height, width, channels))
            if self.feature in shapes:
                self.domain_head(jnp.zeros((1, *shapes[self.feature])))
        return self._logits(x, train)

    def with_domains(
        self, x: Images, train: bool = False, *, strength: float | Array = 1.0
    ) -> tuple[Float[Array, "batch classes"], Float[Array, "batch 2"]]:
        """Returns the network's logits and the domain head's.

        The collection "features" has to be mutable in the call.

        Args:
            x: images.
            train: whether the network is in training mode.
            strength: by minus this, the head's gradient is multiplied on its way to the network.

        Raises:
            ValueError: the network has no such feature.
        """
        logits = self._logits(x, train)
        if not self.network.has_variable(FEATURES, self.feature):
            known = list(self.network.variables.get(FEATURES, {}))
            hint = did_you_mean(self.feature, known, count=1).strip()
            raise ValueError(
                f"AdversarialNet: feature {self.feature!r} is unknown; "
                f"{hint or 'known: ' + ', '.join(known)}"
            )
        feature = self.network.get_variable(FEATURES, self.feature)
        reversed_ = ops.reverse_gradient(feature, strength)
        return logits, self.domain_head(reversed_)

    def _logits(self, x: Images, train: bool) -> Float[Array, "batch classes"]:
        network: Any = self.network
        return network(x, **mode_arguments(network, train))
