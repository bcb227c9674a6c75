import dataclasses

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data, tasks
from cnnjax.data.examples import PartSpec
from cnnjax.models.net import Net
from cnnjax.tasks.segmentation.confusion import PixelFigures, image_confusions, image_ious
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.loop.evaluation import make_evaluator
from tests.tasks.segmentation.pixels import (
    CLASSES,
    IGNORED,
    NAMES,
    WEIGHTS,
    Shown,
    batch_of,
    confusion_of,
    cross_entropies,
    ious_of,
    mean,
    moment_of,
    random_batch,
)

TASK = tasks.Segmentation(NAMES, pixel_loss="cross_entropy + 0.5 * dice", class_weights=WEIGHTS)


def expected_metrics(logits, masks):
    """All figures by their definitions, in float64."""
    predicted = logits.argmax(axis=-1)
    counts = confusion_of(predicted, masks)
    own = np.append(np.array(WEIGHTS), np.zeros(252))[masks]
    foreground = ((predicted > 0) & (masks > 0) & (masks < CLASSES)).sum() / (
        ((predicted > 0) | (masks > 0)) & (masks < CLASSES)
    ).sum()
    return {
        "cross_entropy": (own * cross_entropies(logits, masks)).sum() / own.sum(),
        "mean_iou": mean(ious_of(predicted, masks)),
        "foreground_iou": foreground,
        "pixel_accuracy": np.trace(counts) / counts.sum(),
        "class_accuracy": np.mean(np.diag(counts) / counts.sum(axis=1)),
        "mean_iou_per_image": np.mean(
            [mean(ious_of(p, m)) for p, m in zip(predicted, masks, strict=True)]
        ),
    }


@pytest.mark.parametrize(
    ("batch_size", "mode", "devices"),
    [(23, None, 1), (4, None, 1), (7, "jit", 2), (8, "pmap", 4)],
)
def test_metrics_are_exact_on_any_batch_size_and_number_of_devices(batch_size, mode, devices):
    logits, masks = random_batch(images=23)
    examples = data.from_arrays(image=logits, mask=masks)
    task = dataclasses.replace(TASK, pixel_loss="cross_entropy")
    placement = None
    if mode is not None:
        placement = make_placement(Parallel(mode, mesh=f"data:{devices}"), {}, devices)
    evaluate = make_evaluator(
        Shown(), task, data.Preprocess(), examples, batch_size, placement=placement
    )
    found = evaluate({}, ())
    expected = expected_metrics(logits, masks)
    assert next(iter(found)) == "loss"
    assert found.pop("loss") == pytest.approx(expected.pop("cross_entropy"), rel=1e-5)
    assert found == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "dice + 2 * cross_entropy"])
def test_the_shares_of_a_batchs_parts_add_up_to_its_loss(loss):
    logits, masks = random_batch(images=6)
    masks[:2] = IGNORED  # a part in which hardly anything counts
    task = dataclasses.replace(TASK, pixel_loss=loss)
    weight = np.array([1, 0, 1, 1, 1, 1.0])

    def value(rows, totals):
        batch = batch_of(logits[rows], masks[rows], weight[rows])
        return task.loss(Shown(), {}, batch, moment_of(totals))[0]

    totals = task.totals(batch_of(logits, masks, weight))
    parts = [value(slice(start, start + 2), totals) for start in (0, 2, 4)]
    whole = value(slice(None), totals)
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-6)
    assert np.isfinite(whole)


def test_an_image_that_fills_up_a_batch_changes_nothing():
    logits, masks = random_batch(images=4)
    padded = np.concatenate([logits, np.full_like(logits[:1], np.nan)])
    filler = np.concatenate([masks, masks[:1]])
    batches = batch_of(logits, masks), batch_of(padded, filler, [1, 1, 1, 1, 0])
    first, second = (
        TASK.metrics(jax.device_get(TASK.evaluate(Shown(), {}, batch, moment_of({}))[0]))
        for batch in batches
    )
    assert first == pytest.approx(second, rel=1e-6)


def test_pixels_of_the_ignored_label_and_of_255_do_not_count():
    logits, masks = random_batch(ignored=0.3)
    task = tasks.Segmentation(NAMES, ignore_label=2)
    batch = batch_of(logits, masks)
    sums, _ = task.evaluate(Shown(), {}, batch, moment_of(task.totals(batch)))
    assert float(sums["pixels"]) == ((masks != 2) & (masks != IGNORED)).sum()
    assert not np.asarray(sums["confusion"])[2].any()


def test_mean_iou_per_image_is_torchmetrics():
    """The figures are those of torchmetrics 1.9 with num_classes=5 and input_format="index"."""
    draws = np.random.default_rng(7)
    predicted = draws.integers(0, 4, (3, 6, 5))
    masks = draws.integers(0, 3, (3, 6, 5))
    predicted[0] = masks[0]
    masks[1] = 2
    confusions = image_confusions(
        jnp.asarray(predicted, jnp.int32),
        jnp.asarray(masks, jnp.int32),
        jnp.ones((3, 6, 5), bool),
        5,
    )
    ious, there = image_ious(confusions)
    np.testing.assert_allclose(ious, [1.0, 0.0750, 0.0979], atol=5e-5)
    assert there.all()


def test_classes_that_are_nowhere_have_no_iou():
    counts = np.zeros((3, 3), int)
    counts[0, 0], counts[1, 0] = 6, 2
    figures = PixelFigures(counts)
    np.testing.assert_allclose(figures.class_ious, [0.75, 0, np.nan])
    assert figures.mean_iou == pytest.approx(0.375)
    assert figures.weakest(("x", "y", "z")) == [("y", 0.0), ("x", 0.75)]


class TwoHeads(Net):
    """A network whose auxiliary logits are half of its own."""

    @linen.compact
    def __call__(self, x, train=False):
        if self.wants_auxiliary("aux1"):
            self.feature("aux1", x / 2)
        return x


def test_auxiliary_heads_add_their_weighted_losses_in_training_alone():
    logits, masks = random_batch()
    batch = batch_of(logits, masks)
    task = dataclasses.replace(TASK, pixel_loss="cross_entropy", auxiliary_weight=0.5)
    totals = task.totals(batch)
    variables = {"params": {"aux1": {}}}
    trained, _ = task.loss(TwoHeads(CLASSES), variables, batch, moment_of(totals, train=True))
    evaluated, _ = task.loss(TwoHeads(CLASSES), variables, batch, moment_of(totals))
    own = np.append(np.array(WEIGHTS), np.zeros(252))[masks]
    main, half = (
        (own * cross_entropies(values, masks)).sum() / own.sum() for values in (logits, logits / 2)
    )
    assert float(evaluated) == pytest.approx(main, rel=1e-5)
    assert float(trained) == pytest.approx(main + 0.5 * half, rel=1e-5)
    terms = task.loss_terms(TwoHeads(CLASSES), variables, batch, moment_of(totals))
    assert {name: float(value) for name, value in terms.items()} == {
        "output": pytest.approx(main, rel=1e-5),
        "aux1": pytest.approx(0.5 * half, rel=1e-5),
    }
    with pytest.raises(ValueError, match="Shown has no auxiliary heads"):
        task.loss(Shown(), {}, batch, moment_of(totals, train=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_names": ("a",)}, "masks of 8 bits have 2 to 255 classes"),
        ({"class_weights": (1.0, 2.0)}, "for 4 classes; give one number for each"),
        ({"class_weights": (0.0,) * 4}, "not all 0"),
        ({"ignore_label": 300}, "give 0 to 255"),
        ({"focal_gamma": -1.0}, "task.focal_gamma"),
        ({"auxiliary_weight": -1.0}, "task.auxiliary_weight"),
        ({"pixel_loss": "hinge"}, "known: cross_entropy, dice, focal"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tasks.Segmentation(**{"class_names": NAMES, **settings})


def test_masks_with_unknown_labels_are_refused_with_the_example():
    _, masks = random_batch()
    masks[3, 1, 2:4] = 9
    with pytest.raises(
        ValueError, match=r"mask of example 3 has 2 pixels of the label 9, .* 0 to 3"
    ):
        TASK.check_values({"mask": masks})
    dataclasses.replace(TASK, ignore_label=9).check_values({"mask": masks})


def test_examples_and_networks_that_do_not_fit_are_refused():
    spec = {
        "image": PartSpec((6, 7, 3), np.dtype(np.uint8), "image"),
        "mask": PartSpec((6, 7), np.dtype(np.uint8), "mask"),
    }
    TASK.check(spec, jax.ShapeDtypeStruct((2, 6, 7, 4), jnp.float32))
    for outputs in (jax.ShapeDtypeStruct((2, 4), jnp.float32), ({},)):
        with pytest.raises(ValueError, match=r"needs logits \[batch, height, width, 4\]"):
            TASK.check(spec, outputs)
    with pytest.raises(ValueError, match="needs the parts image and mask"):
        TASK.check({"image": spec["image"]}, jax.ShapeDtypeStruct((2, 6, 7, 4), jnp.float32))
    logits, masks = random_batch()
    batch = batch_of(logits[:, ::2], masks)
    with pytest.raises(ValueError, match="a class for each pixel: give a network that upsamples"):
        TASK.loss(Shown(), {}, batch, moment_of({}))


def test_shares_of_classes_are_the_answer_for_an_image():
    mask = np.array([[0, 0, 0], [0, 2, 1]], np.uint8)
    answer = TASK.answer(mask)
    assert answer.line == "ground 66.67%, a 16.67%, b 16.67%"
    assert answer.columns["class_2"] == "a" and answer.columns["share_1"] == pytest.approx(2 / 3)
