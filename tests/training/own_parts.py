"""Runs made of parts of one's own, one kind each; and a program that trains one, to be killed."""

import os
from dataclasses import dataclass

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnnjax import data, models, tasks, training

NAMES = tuple("abc")
EPOCHS = 3


def arrays():
    """48 images in which each of three classes has a pattern under noise, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 48)
    patterns = rng.integers(0, 200, (3, 8, 8, 1))
    return (patterns[labels] + rng.integers(0, 56, (48, 8, 8, 1))).astype(np.uint8), labels


IMAGES, LABELS = arrays()


class Foreign(linen.Module):
    """A network as another project may have it, with flax's batch norm and dropout."""

    @linen.compact
    def __call__(self, x, deterministic: bool):
        x = linen.Conv(4, (3, 3))(x)
        x = linen.relu(linen.BatchNorm(use_running_average=deterministic)(x))
        x = linen.Dropout(0.1, deterministic=deterministic)(x)
        return linen.Dense(3)(x.mean(axis=(1, 2)))


def squared_hinge(logits, targets):
    return jnp.square(jax.nn.relu(1 - (2 * targets - 1) * logits)).sum(axis=-1)


@data.register_augmentation("test_dim")
def dim(least: float = 0.5):
    def apply(key, example):
        factor = jax.random.uniform(key, minval=least, maxval=1.0)
        return {**example, "image": example["image"] * factor}

    return apply


@dataclass(frozen=True)
class WithBrier(tasks.Classification):
    def example_metrics(self, outputs, batch):
        target = jax.nn.one_hot(batch["label"], len(self.class_names))
        brier = jnp.square(jax.nn.softmax(outputs.logits) - target).sum(axis=-1)
        return {**super().example_metrics(outputs, batch), "brier": brier}


class Drawn:
    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, position):
        return {"image": IMAGES[position], "label": np.int32(LABELS[position])}


class Interrupted(Exception):
    pass


class StopAt(training.Callback):
    """Leaves as a killed process does: whatever is not written is lost."""

    def __init__(self, step):
        self.step = step
        self.logged = []

    def on_log(self, step, metrics):
        self.logged.append((step, metrics))
        if step == self.step:
            raise Interrupted


def make(name):
    """Returns the run with a part of one's own of that kind."""
    base = training.Run(
        model=models.create_model("resnet8_cifar", 3, blocks=(1,), widths=(4,)),
        task=tasks.Classification(NAMES),
        train=data.from_arrays(image=IMAGES, label=LABELS),
        test=data.from_arrays(image=IMAGES[:20], label=LABELS[:20]),
        optimizer=optax.adam(1e-2),
        epochs=EPOCHS,
        batch_size=16,
        augmentation="crop(1)",
    )
    changes = {
        "arrays": {},
        "network": {"model": Foreign()},
        "optimizer": {"optimizer": optax.chain(optax.clip(0.5), optax.lion(1e-3))},
        "loss": {"task": tasks.Classification(NAMES, loss_function=squared_hinge)},
        "augmentation": {"augmentation": "crop(1), test_dim(0.7)"},
        "metric": {"task": WithBrier(NAMES)},
        "source": {"train": data.from_source(Drawn())},
        "callback": {},
    }
    return base.replace(**changes[name])


KINDS = ("arrays", "network", "optimizer", "loss", "augmentation", "metric", "source", "callback")


class Announce(training.Callback):
    """Prints each step, so that whoever started the program can kill it."""

    def on_log(self, step, metrics):
        os.write(1, f"step {step}\n".encode())


def main(name, workdir):
    training.fit(
        make(name),
        workdir,
        cadence=training.Cadence(log_every=1, checkpoint_steps=2),
        callbacks=[Announce()],
        progress=False,
    )
