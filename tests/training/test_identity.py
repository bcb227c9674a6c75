"""The identity of runs that were made in Python."""

import dataclasses
import enum
import functools
import json

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, models, tasks, training
from cnnjax.training.identity import describe, run_identity

NAMES = ("a", "b", "c")


def images(changed=0):
    pixels = np.arange(48 * 64, dtype=np.uint32).reshape(48, 8, 8, 1).astype(np.uint8)
    pixels[7, 3, 3, 0] += changed
    return pixels


LABELS = np.arange(48) % 3


def examples(**changes):
    return data.from_arrays(**{"image": images(), "label": LABELS, **changes})


def first_loss(logits, targets):
    return jnp.square(logits - targets).sum(axis=-1)


def second_loss(logits, targets):
    return jnp.abs(logits - targets).sum(axis=-1)


def scaled_loss(logits, targets, factor):
    return factor * first_loss(logits, targets)


def backwards(seed, step):
    return np.arange(16)


def make(**changes):
    return training.Run(
        **{
            "model": models.create_model("resnet8_cifar", 3, blocks=(1,), widths=(4,)),
            "task": tasks.Classification(NAMES),
            "train": examples(),
            "test": examples(),
            "optimizer": optax.adam(1e-2),
            "batch_size": 16,
            "augmentation": "crop(1)",
            **changes,
        }
    )


def own_loss(loss):
    return tasks.Classification(NAMES, loss_function=loss)


def stream(**changes):
    return data.Stream(**{"examples": examples(), "batch_size": 16, **changes})


@dataclasses.dataclass(frozen=True)
class Settings(tasks.Classification):
    extra: object = None


class Side(enum.Enum):
    LEFT = "left"
    RIGHT = "right"


CHANGES = {
    "a training pixel": {"train": examples(image=images(1))},
    "a label": {"train": examples(label=(LABELS + 1) % 3)},
    "a test pixel": {"test": examples(image=images(1))},
    "no test": {"test": None},
    "what the test is": {"split": "validation"},
    "a task setting": {"task": tasks.Classification(NAMES, label_smoothing=0.1)},
    "names of classes": {"task": tasks.Classification(("a", "b", "d"))},
    "a function": {"task": own_loss(first_loss)},
    "another function": {"task": own_loss(second_loss)},
    "a partial function": {"task": own_loss(functools.partial(scaled_loss, factor=2.0))},
    "another argument": {"task": own_loss(functools.partial(scaled_loss, factor=3.0))},
    "another task": {"task": Settings(NAMES)},
    "a number of NumPy": {"task": Settings(NAMES, extra=np.float32(0.5))},
    "another number of NumPy": {"task": Settings(NAMES, extra=np.float32(0.25))},
    "an array": {"task": Settings(NAMES, extra=np.arange(3))},
    "another array": {"task": Settings(NAMES, extra=np.arange(1, 4))},
    "an enumerated value": {"task": Settings(NAMES, extra=Side.LEFT)},
    "another enumerated value": {"task": Settings(NAMES, extra=Side.RIGHT)},
    "a set": {"task": Settings(NAMES, extra=frozenset({"x", "y"}))},
    "another set": {"task": Settings(NAMES, extra=frozenset({"x", "z"}))},
    "the network's width": {
        "model": models.create_model("resnet8_cifar", 3, blocks=(1,), widths=(8,))
    },
    "another network": {"model": linen.Sequential([linen.Dense(3)])},
    "the seed": {"seed": 1},
    "the epochs": {"epochs": 2},
    "the batch size": {"batch_size": 8},
    "parts": {"accumulate": 2},
    "averages": {"ema_decay": 0.9},
    "loss scaling": {"loss_scaling": True},
    "augmentation": {"augmentation": "crop(2)"},
    "preprocessing": {"preprocess": data.Preprocess(mean=(0.5,))},
    "frozen parameters": {"frozen": (".*/bn1/.*",)},
    "the scope of batch norm": {"batch_norm": training.BatchNormScope("device")},
    "the optimizer's structure": {"optimizer": optax.sgd(1e-2, momentum=0.9)},
    "an optimizer without state": {"optimizer": lambda params: optax.sgd(1e-2)},
    "first variables": {"variables": {"batch_stats": {"bn": {"mean": np.ones(4, np.float32)}}}},
    "a balanced order": {"train": stream(order="balanced", augmentation="crop(1)")},
    "an order of one's own": {"train": stream(order=backwards, augmentation="crop(1)")},
    "two streams": {"train": {"train": stream(augmentation="crop(1)"), "second": stream()}},
    "views": {"train": stream(views={"a": "crop(1)"})},
}


@pytest.fixture(scope="module")
def identities():
    base = run_identity(make())
    return {"": base, **{name: run_identity(make(**change)) for name, change in CHANGES.items()}}


def test_two_equal_runs_have_equal_identities(identities):
    assert run_identity(make()) == identities[""]
    # The same stream, written out.
    assert run_identity(make(train=stream(augmentation="crop(1)"))) == identities[""]


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_changes_the_identity(identities, name):
    same = [other for other, values in identities.items() if values == identities[name]]
    assert same == [name]


@pytest.mark.parametrize("name", ["", *CHANGES])
def test_an_identity_survives_json(identities, name):
    assert json.loads(json.dumps(identities[name])) == identities[name]


def test_the_part_that_orders_go_by_counts():
    both = data.from_arrays(
        image=images(), coarse=LABELS % 2, fine=LABELS, kinds={"coarse": "label", "fine": "label"}
    )
    made = [
        run_identity(make(train=data.Stream(both, 16, order="balanced", by=by)))
        for by in ("coarse", "fine")
    ]
    assert made[0] != made[1]


def test_names_and_more_epochs_change_nothing(identities):
    longer = make(total_epochs=5, title=("net", "set"), schedule=optax.constant_schedule(0.1))
    assert run_identity(longer) == identities[""]


def test_an_identity_of_its_own_is_the_runs():
    assert run_identity(make(identity={"epochs": 1})) == {"epochs": 1}


def test_dtypes_are_reported_by_name():
    assert describe(jnp.bfloat16) == describe(jnp.dtype("bfloat16")) == "bfloat16"
    assert describe(jnp.float32) != describe(jnp.float64)
