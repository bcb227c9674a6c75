"""A backbone of the registry as an encoder: its feature maps, without its classifier."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.models.create import find_settings
from cnnjax.models.dense.levels import Level, levels_of
from cnnjax.models.net import Net

Images = Float[Array, "batch height width channels"]
Maps = dict[int, Array]
"""Feature maps [batch, rows, columns, channels] by their stride in pixels."""


class Encoder(linen.Module):
    """A backbone that returns its feature maps, and computes nothing after the last one.

    Its variables are those of the backbone without the layers after the last map, under the same
    names, so that files of the backbone's weights load. Make it with `models.encoder`.

    Attributes:
        backbone: the network, unbound.
    """

    backbone: Net

    @property
    def levels(self) -> tuple[Level, ...]:
        """The named feature maps, from first to last."""
        return levels_of(self.backbone)

    @property
    def strides(self) -> tuple[int, ...]:
        """The strides of the maps that a call returns, from the first to the last."""
        return tuple(dict.fromkeys(level.stride for level in self.levels))

    def setup(self) -> None:
        """Gives the backbone's variables this module's own place."""
        linen.share_scope(self, self.backbone)

    def __call__(self, x: Images, train: bool = False) -> Maps:
        """Returns the last feature map of each stride.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics, and dropout is on.
        """
        return self.by_stride(self.named(x, train))

    def named(self, x: Images, train: bool = False) -> dict[str, Array]:
        """Returns all feature maps by their names.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics, and dropout is on.
        """
        return self._run(x, train, remembers=False)[0]

    def with_switches(
        self, x: Images, train: bool = False
    ) -> tuple[dict[str, Array], dict[int, nn.Switches]]:
        """Returns all feature maps by their names, and where the maxima of its max pools were.

        Args:
            x: images.
            train: whether batch norms use the batch's statistics, and dropout is on.

        Returns:
            The maps, and the switches by the stride of the maps that the pool made.
        """
        return self._run(x, train, remembers=True)

    @linen.nowrap
    def by_stride(self, named: dict[str, Array]) -> Maps:
        """Returns the last of the named maps of each stride.

        Args:
            named: all feature maps by their names.
        """
        return {level.stride: named[level.name] for level in self.levels}

    def _run(
        self, x: Images, train: bool, remembers: bool
    ) -> tuple[dict[str, Array], dict[int, nn.Switches]]:
        """Runs the backbone up to its last map."""
        strides = {level.name: level.stride for level in self.levels}
        last = self.levels[-1].name
        maps: dict[str, Array] = {}
        switches: dict[int, nn.Switches] = {}
        pools: list[nn.Switches] = []

        def intercept(
            method: Callable[..., Any],
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
            context: linen.module.InterceptorContext,
        ) -> Any:
            layer: Any = context.module
            if remembers and isinstance(layer, nn.MaxPool) and context.method_name == "__call__":
                y, found = _pool_with_switches(layer, *args)
                pools.append(found)
                return y
            if layer is not self.backbone or context.method_name != "feature":
                return method(*args, **kwargs)
            name, value = args
            if name in strides:
                maps[name] = value
                if pools:
                    switches[strides[name]] = pools.pop()
            if name == last:
                raise _LastMapError
            return value

        try:
            with linen.intercept_methods(intercept):
                self.backbone(x, train)
        # The layers after the last map are neither created nor computed.
        except _LastMapError:
            return maps, switches
        raise RuntimeError(f"{type(self.backbone).__name__} has no feature {last!r}")


class _LastMapError(Exception):
    """Ends a backbone's call at its last feature map."""


def _pool_with_switches(pool: nn.MaxPool, x: Array) -> tuple[Array, nn.Switches]:
    """Returns what a max pool does, and where its maxima were."""
    with nn.naming_layer(pool):
        y, places = ops.max_pool_with_argmax(
            x,
            pool.window,
            strides=pool.strides,
            padding=pool.padding,
            dilation=pool.dilation,
            ceil_mode=pool.ceil_mode,
            backward=pool.backward,
        )
    return y, nn.Switches(places, (x.shape[1], x.shape[2]))


def encoder(
    backbone: str,
    *,
    variant: str | None = None,
    dtype: Any = jnp.float32,
    name: str | None = "encoder",
    **overrides: Any,
) -> Encoder:
    """Returns a network of the registry as an encoder, a Flax module without parameters.

    Inside of another module's compact method it becomes a layer of that module.

    Args:
        backbone: a registered name or alias, such as "resnet18".
        variant: a registered form of it, or None for the usual one.
        dtype: dtype of the computation; parameters are float32.
        name: of the layer among the parameters of the module that it is part of.
        **overrides: fields of the backbone to set, such as `backward="native"` or `remat=True`.

    Returns:
        The module. Called with images, it returns the last feature map of each stride by the
        stride.

    Raises:
        ValueError: an unknown name, variant or override, or a network that has no feature maps of
            known strides; the message names what there is.

    Example:
        >>> import jax
        >>> from cnnjax import models
        >>> net = models.encoder("resnet18")
        >>> images = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")
        >>> maps, variables = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
        >>> {stride: each.shape[1:] for stride, each in maps.items()}
        {2: (32, 32, 64), 4: (16, 16, 64), 8: (8, 8, 128), 16: (4, 4, 256), 32: (2, 2, 512)}
        >>> "classifier" in variables["params"]
        False
    """
    return Encoder(find_backbone(backbone, variant, dtype, overrides), name=name)


def find_backbone(name: str, variant: str | None, dtype: Any, overrides: Mapping[str, Any]) -> Net:
    """Returns the backbone of an encoder, unbound also within another module's method.

    Args:
        name: a registered name or alias.
        variant: a registered form of it, or None.
        dtype: of the computation.
        overrides: fields to set.

    Raises:
        ValueError: as `encoder`.
    """
    make, settings = find_settings(name, None, dtype, variant, overrides)
    if not (isinstance(make, type) and issubclass(make, Net)):
        raise ValueError(
            f"encoder: {name!r} is no network of cnnjax.models; use one of its names, such as "
            "'resnet18'"
        )
    # Without a parent: what is made within a module's method would become a layer of that module.
    net: Any = make(**settings, parent=None)
    levels_of(net)
    return net
