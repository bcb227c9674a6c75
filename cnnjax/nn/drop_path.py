"""Drop-path: branches of residual networks that whole examples skip in training."""

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.nn.layer_errors import naming_layer
from cnnjax.ops.checks import is_real


class DropPath(linen.Module):
    """Sets a branch to zero for some examples, and divides it by 1 - rate for the others.

    Placed at the end of a residual branch, it leaves a dropped example with the shortcut alone
    ("stochastic depth"); the mean over the draws is the branch itself. FractalNet's drop-path,
    which drops inputs of a join for all examples, is in `cnnjax.models.blocks.drop_path`.

    Attributes:
        rate: probability with which an example skips the branch, from 0 to less than 1.
        deterministic: whether nothing is dropped; None where the call decides.
        rng_collection: the stream of keys.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import nn
        >>> drop, key = nn.DropPath(0.5, deterministic=False), jax.random.key(0)
        >>> y = drop.apply({}, jnp.ones((64, 2, 2, 3)), rngs={"dropout": key})
        >>> jnp.unique(y), y.mean(axis=(1, 2, 3)).max().item()
        (Array([0., 2.], dtype=float32), 2.0)

    Source: Huang et al., 2016 (deep networks with stochastic depth), section 3; per example as in
    Tan and Le, 2019 (EfficientNet).
    """

    rate: float
    deterministic: bool | None = None
    rng_collection: str = "dropout"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch *axes"], deterministic: bool | None = None
    ) -> Float[Array, "batch *axes"]:
        """Returns the branch, with zeros for the examples that skip it.

        Args:
            x: a branch's result, of any rank.
            deterministic: whether nothing is dropped; it may be given here or as a field.

        Raises:
            ValueError: the rate is not from 0 to less than 1, or `x` is a scalar. The message
                names the layer.
        """
        deterministic = linen.merge_param("deterministic", self.deterministic, deterministic)
        with naming_layer(self):
            if not is_real(self.rate) or not 0 <= self.rate < 1:
                raise ValueError(
                    f"rate must be a number from 0 to less than 1, got {self.rate!r}; at 1 no "
                    "example would pass the branch"
                )
            if x.ndim == 0:
                raise ValueError("x must have a batch axis, got a scalar")
        if deterministic or self.rate == 0:
            return x
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        kept = jax.random.bernoulli(self.make_rng(self.rng_collection), 1 - self.rate, shape)
        # A product with 1 / (1 - rate) or 0 would turn an infinite branch into NaN.
        return jnp.where(kept, x / (1 - self.rate), jnp.zeros((), x.dtype))


def rates_by_depth(last: float, blocks: int) -> tuple[float, ...]:
    """Returns a drop-path rate for each block, which grows linearly with depth: last * l / blocks.

    Args:
        last: rate of the last block.
        blocks: number of blocks L; block l = 1 ... L gets l / L of the last rate.

    Raises:
        ValueError: the rate is not from 0 to less than 1, or there are no blocks.

    Example:
        >>> from cnnjax import nn
        >>> nn.rates_by_depth(0.5, 4)
        (0.125, 0.25, 0.375, 0.5)

    Source: Huang et al., 2016, equation 4.
    """
    if not isinstance(blocks, int) or isinstance(blocks, bool) or blocks < 1:
        raise ValueError(f"rates_by_depth: blocks must be an int of at least 1, got {blocks!r}")
    if not is_real(last) or not 0 <= last < 1:
        raise ValueError(f"rates_by_depth: last must be from 0 to less than 1, got {last!r}")
    return tuple(last * block / blocks for block in range(1, blocks + 1))
