"""Streams of a configuration: `data.streams.NAME`, views and orders."""

import jax
import numpy as np
import pytest

from cnnjax import data, recipes, training
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.loop.trainer import Trainer

COLORS = "tests.recipes.own_parts:colors"
SETTINGS = {"model": {"name": "resnet8_cifar", "overrides": {"blocks": (1,), "widths": (4,)}}}


def run_of(**section):
    section = {"name": COLORS, "batch_size": 12, **section}
    return recipes.make_run({**SETTINGS, "data": section})


def batches(run, count):
    state = run.init_state()
    placement = make_placement(Parallel(), state.params, run.first_batch_size)
    trainer = Trainer(run, state, placement)
    return [jax.device_get(trainer.batch(step)) for step in range(count)]


def test_a_further_stream_is_under_its_name_with_its_views():
    views = {"weak": "flip", "strong": "flip, cutout(3)"}
    run = run_of(
        train_examples=24,
        streams={"unlabeled": {"batch_size": 18, "views": views}},
    )
    assert list(run.streams) == ["train", "unlabeled"]
    assert len(run.streams["unlabeled"].examples) == 36  # what is not trained on
    labeled = {image.tobytes() for image in run.main.examples.column("image")}
    rest = {image.tobytes() for image in run.streams["unlabeled"].examples.column("image")}
    assert not labeled & rest
    (batch,) = batches(run, 1)
    assert batch["image"].shape == (12, 8, 8, 3)
    assert batch["unlabeled"]["weak"]["image"].shape == (18, 8, 8, 3)
    assert batch["unlabeled"]["strong"]["image"].shape == (18, 8, 8, 3)
    assert batch["unlabeled"]["weight"].shape == (18,)
    assert run.epoch_steps == 2  # of the first stream


@pytest.mark.parametrize(("which", "count"), [("trained", 24), ("rest", 26), ("all", 50)])
def test_a_further_stream_has_the_examples_that_it_names(which, count):
    run = run_of(
        train_examples=24,
        validation_examples=10,
        streams={"more": {"examples": which, "batch_size": 5}},
    )
    assert run.test is not None
    held_out = {image.tobytes() for image in run.test.column("image")}
    taken = [image.tobytes() for image in run.streams["more"].examples.column("image")]
    assert len(taken) == len(set(taken)) == count
    assert not held_out & set(taken)


def test_views_of_the_first_stream_are_under_their_names():
    (batch,) = batches(run_of_views(), 1)
    assert batch["plain"]["image"].shape == batch["dark"]["image"].shape == (12, 8, 8, 3)
    assert batch["weight"].shape == (12,)


def run_of_views():
    # A task that looks at views; the default one does not.
    settings = {
        **SETTINGS,
        "task": {"name": "tests.recipes.own_parts:OfViews"},
        "data": {"name": COLORS, "batch_size": 12, "views": {"plain": "", "dark": "flip"}},
    }
    return recipes.make_run(settings)


def test_a_balanced_order_gives_all_classes_equally_often():
    for batch in batches(run_of(order="balanced"), 3):
        assert np.bincount(batch["label"]).tolist() == [4, 4, 4]


def test_episodes_set_the_batch_size():
    run = run_of(order="episodes", episodes=(2, 3, 4))
    assert run.first_batch_size == 14
    assert run.main.order == data.Episodes(2, 3, 4)
    for batch in batches(run, 2):
        counts = np.bincount(batch["label"], minlength=3)
        assert sorted(counts.tolist()) == [0, 7, 7]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"order": "episodes"}, r"data\.episodes: \(\) was given; give \(ways, shots, queries\)"),
        ({"order": "ballanced"}, r"data\.order: 'ballanced' was given"),
        ({"streams": {"train": {}}}, "the name 'train' is taken"),
        ({"streams": {"image": {}}}, "the name 'image' is taken"),
        (
            {"streams": {"more": {"batch_size": 5}}},
            r"more\.examples: 'rest' holds no examples; set",
        ),
        ({"streams": {"more": {"name": "digits"}}}, r"more\.examples: 'rest' is of the run's own"),
        ({"streams": {"more": {"name": "digit", "examples": "all"}}}, "did you mean digits"),
        ({"streams": {"more": {"bach_size": 5}}}, r"streams\.more\.bach_size is unknown"),
        (
            {"streams": {"more": {"examples": "all", "augmentation": "flipp"}}},
            "did you mean flip",
        ),
        ({"views": {"weight": "flip"}}, "'weight' cannot name a view"),
        ({"views": {"weak": ""}, "augmentation": "flip"}, "write it into each view"),
    ],
)
def test_streams_that_cannot_work_are_refused(section, message):
    with pytest.raises(training.ConfigError, match=message):
        run_of(**section)
