"""Datasets of one's own in a configuration: by path, and by registration."""

from typing import Any

import numpy as np
import pytest

from cnnjax import recipes, training
from tests.recipes import own_parts

PATH = "tests.recipes.own_parts:colors"


def run_of(**data) -> Any:
    return recipes.make_run({"data": {"batch_size": 20, **data}})


def test_a_dataset_is_given_by_the_path_of_a_function():
    run = run_of(name=PATH)
    assert (len(run.main.examples), len(run.test), run.epoch_steps) == (60, 12, 3)
    assert run.task.class_names == ("red", "green", "blue")
    assert run.image_shape == (8, 8, 3)
    np.testing.assert_array_equal(run.test.column("image"), own_parts.arrays(12, 1).arrays["image"])
    (record,) = [part for part in run.parts if part["kind"] == "dataset"]
    assert record["name"] == PATH and record["file"].endswith("own_parts.py")


def test_a_registered_dataset_without_a_test_split_holds_examples_out():
    run = run_of(name="test_colors_without_test", validation_examples=15)
    assert (len(run.main.examples), len(run.test), run.split) == (45, 15, "validation")
    held_out = {image.tobytes() for image in run.test.column("image")}
    assert not held_out & {image.tobytes() for image in run.main.examples.column("image")}


def test_another_stream_may_have_another_dataset():
    further = {"name": PATH, "examples": "all", "batch_size": 4}
    run = run_of(name="test_colors_without_test", validation_examples=15, streams={"more": further})
    assert len(run.streams["more"].examples) == 60


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "test_colors_without_test"}, "has no test split; hold out some of its 60"),
        ({"name": "tests.recipes.own_parts:no_splits"}, "returned ArrayExamples; .*data.Splits"),
        ({"name": "tests.recipes.own_parts:gone"}, "own_parts.*gone"),
        ({"name": PATH, "crop": 4}, r"data\.crop: only for photographs of many sizes"),
    ],
)
def test_a_function_that_makes_no_dataset_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        run_of(**data)


def test_a_path_that_leads_nowhere_is_a_mistake_of_the_configuration():
    with pytest.raises(training.ConfigError, match="gone"):
        run_of(name="tests.recipes.gone:load")
