"""A task, datasets and a loss of a user's, for tests that give them by path or by registration."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from cnnjax import data, tasks


@dataclass(frozen=True)
class Brightness(tasks.Task):
    """The mean of each image, times a factor that must be given."""

    factor: float
    power: int = 2

    def outputs(self, spec):
        return 1

    def example_losses(self, outputs, batch, moment):
        mean = batch["image"].mean(axis=(1, 2, 3))
        return jnp.abs(outputs[:, 0] - self.factor * mean) ** self.power


class NoTask:
    pass


def absolute(logits, targets):
    return jnp.abs(logits - targets).sum(axis=-1)


def arrays(count, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return data.from_arrays(image=images, label=np.arange(count) % 3)


def colors():
    return data.Splits(arrays(60, 0), arrays(12, 1), ("red", "green", "blue"))


def no_splits():
    return arrays(12, 1)


@data.register_dataset("test_colors_without_test")
def without_test():
    return data.Splits(arrays(60, 0), None, ("red", "green", "blue"))


@dataclass(frozen=True)
class OfViews(tasks.Task):
    """Looks at two views of each image."""

    def apply(self, model, variables, batch, moment):
        return super().apply(model, variables, batch["plain"] if moment.train else batch, moment)

    def example_losses(self, outputs, batch, moment):
        return outputs[:, 0] ** 2


def cubed(x):
    return x**3
