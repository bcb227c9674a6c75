"""Networks written with flax alone, without anything of this package."""

import flax.linen as linen
import jax


class Block(linen.Module):
    features: int

    @linen.compact
    def __call__(self, x):
        return linen.relu(linen.Conv(self.features, (3, 3))(x))


class PlainNet(linen.Module):
    """Two blocks, one of them used twice, max pooling, batch norm and a dense layer."""

    classes: int = 5

    @linen.compact
    def __call__(self, x, train):
        x = Block(4)(x)
        x = linen.max_pool(x, (2, 2), (2, 2))
        shared = Block(4, name="shared")
        x = shared(shared(x))
        x = linen.BatchNorm(use_running_average=not train)(x)
        return linen.Dense(self.classes)(x.reshape(x.shape[0], -1))


def initialized(model, shape, **arguments):
    """Variables and input of a model, from fixed keys."""
    images = jax.random.normal(jax.random.key(1), shape)
    return model.init(jax.random.key(0), images, **arguments), images
