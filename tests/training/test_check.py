"""What cannot work is found from shapes, before anything is compiled or written."""

from typing import Any

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest

from cnnjax import data, tasks, training
from cnnjax.training.check import check_run

IMAGES = np.zeros((48, 8, 8, 1), np.uint8)
LABELS = np.zeros(48, np.int64)
EXAMPLES = data.from_arrays(image=IMAGES, label=LABELS)


class Flat(linen.Module):
    """Takes images of one size alone."""

    classes: int = 3

    @linen.compact
    def __call__(self, x):
        return linen.Dense(self.classes)(x.reshape(len(x), -1))


class Averaged(linen.Module):
    """Takes images of any size."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(linen.Conv(4, (3, 3))(x).mean(axis=(1, 2)))


class Mapped(linen.Module):
    """Averages its statistics over an axis that nothing maps."""

    @linen.compact
    def __call__(self, x, train):
        x = linen.BatchNorm(not train, axis_name="devices")(x)
        return linen.Dense(3)(x.mean(axis=(1, 2)))


class Striding(linen.Module):
    """Refuses images itself, as a network of the registry does."""

    @linen.compact
    def __call__(self, x):
        if x.shape[1] % 4:
            raise ValueError(f"needs sides that 4 divides, got {x.shape[1]}")
        return linen.Dense(3)(x.mean(axis=(1, 2)))


NAMES = ("a", "b", "c")


class Second(tasks.Classification):
    """Learns from the second stream alone."""

    def loss(self, model, variables, batch, moment):
        if "label" not in batch["second"]:
            raise ValueError("the second stream has no label")
        return super().loss(model, variables, batch["second"], moment)


BASE = training.Run(
    model=Flat(),
    task=tasks.Classification(NAMES),
    train=EXAMPLES,
    test=EXAMPLES,
    optimizer=optax.sgd(0.1),
    batch_size=16,
)


def streams(second, **options):
    return {"train": data.Stream(EXAMPLES, 16), "second": data.Stream(second, 16, **options)}


def test_what_fits_passes():
    check_run(BASE)
    check_run(BASE.replace(model=Averaged(), augmentation="resized_crop(6)"))
    check_run(BASE.replace(train=streams(data.from_arrays(image=IMAGES))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train": data.from_arrays(label=LABELS), "test": None},
            "train: the examples have no part image; they have label",
        ),
        (
            {"train": data.from_arrays(image=IMAGES)},
            "classification needs the parts image and label; these examples have image",
        ),
        (
            {"model": Flat(4)},
            r"3 classes needs logits \[batch, 3\], but the network gives \(2, 4\)",
        ),
        (
            {"augmentation": "resized_crop(6)"},
            r"Flat cannot take images of 6x6x1 .*change the augmentation \(data\.augmentation\)$",
        ),
        (
            {"model": Striding(), "augmentation": "resized_crop(6)"},
            r"Striding cannot take images of 6x6x1 \(needs sides that 4 divides, got 6\)",
        ),
        (
            {"model": Striding(), "preprocess": data.Preprocess(pad=1)},
            r"Striding cannot take images of 10x10x1 .*change data\.resize or data\.pad",
        ),
        ({"augmentation": "pca_color"}, "pca_color: .*1 channels, not 3"),
        (
            {"model": Mapped()},
            r"model: a layer of Mapped averages .*devices.*; leave out its axis_name",
        ),
        ({"accumulate": 5}, "accumulate: a batch of 16 cannot be cut into 5 equal parts"),
        ({"frozen": ("Dense_9/.*",)}, "frozen: .*Dense_9"),
        ({"frozen": (".*",)}, "every parameter is frozen"),
        (
            {"train": data.Stream(EXAMPLES, 16, views={"weak": "", "strong": "resized_crop(4)"})},
            r"4x4x1 .*change the augmentation \(data\.views\.strong\)$",
        ),
        (
            {"task": Second(NAMES), "train": streams(EXAMPLES, augmentation="resized_crop(4)")},
            r"shape \(16, 3\), but the existing parameter .* \(64, 3\)",
        ),
        (
            {"task": Second(NAMES), "train": streams(data.from_arrays(image=IMAGES))},
            "the second stream has no label",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, message, monkeypatch):
    def compiled(*arguments, **options):
        raise AssertionError("something was compiled")

    monkeypatch.setattr(jax.stages.Lowered, "compile", compiled)
    with pytest.raises(training.ConfigError, match=message):
        check_run(BASE.replace(**changes))


def test_a_second_stream_that_parts_do_not_divide_is_refused():
    train = {"train": data.Stream(EXAMPLES, 16), "second": data.Stream(EXAMPLES, 6)}
    with pytest.raises(training.ConfigError, match="a batch of 6 cannot be cut into 4 equal parts"):
        check_run(BASE.replace(train=train, accumulate=4))


def test_a_stream_without_images_has_no_size_to_fit():
    check_run(BASE.replace(train=streams(data.from_arrays(depth=np.zeros(48, np.float32)))))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("label", [-1, 3, 200])
def test_labels_without_a_class_are_refused(split, label):
    wrong = data.from_arrays(image=IMAGES, label=np.where(np.arange(48) < 40, 1, label))
    splits: dict[str, Any] = {"train": EXAMPLES, "test": EXAMPLES, split: wrong}
    run = training.Run(
        model=Averaged(),
        task=tasks.Classification(NAMES),
        optimizer=optax.sgd(0.1),
        batch_size=8,
        epochs=1,
        **splits,
    )
    with pytest.raises(training.ConfigError, match=r"for 3 classes, whose labels are 0 to 2"):
        check_run(run)
