"""Networks written with flax alone, by nobody who knows of this package."""

import flax.linen as nn
import jax


class Block(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Conv(self.features, (3, 3))(x))


class PlainNet(nn.Module):
    """Two blocks, one of them used twice, max pooling, batch norm and a dense layer."""

    classes: int = 5

    @nn.compact
    def __call__(self, x, train):
        x = Block(4)(x)
        x = nn.max_pool(x, (2, 2), (2, 2))
        shared = Block(4, name="shared")
        x = shared(shared(x))
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(self.classes)(x.reshape(x.shape[0], -1))


def initialized(model, shape, **arguments):
    """Variables and input of a model, from fixed keys."""
    images = jax.random.normal(jax.random.key(1), shape)
    return model.init(jax.random.key(0), images, **arguments), images
