"""What a task does that overrides nothing, and the sums of its metrics."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.tasks import Moment, Score, Task, TaskError, weighted_sums
from cnnjax.tasks.sections import Evaluated

BATCH = {"weight": jnp.array([1.0, 1.0, 0.0])}


@dataclass(frozen=True)
class NoLoss(Task):
    pass


def test_a_weight_of_zero_keeps_out_what_is_not_a_number():
    sums = weighted_sums({"loss": jnp.array([1.0, 2.0, jnp.nan])}, BATCH)
    assert {name: float(value) for name, value in sums.items()} == {"weight": 2, "loss": 3}


def test_numbers_of_another_batch_size_have_no_weighted_sum():
    with pytest.raises(
        ValueError, match=r"loss: the shape \[2\] was given for 3 examples; give one"
    ):
        weighted_sums({"loss": jnp.ones(2)}, BATCH)
    # A column would be multiplied with every weight.
    with pytest.raises(ValueError, match=r"loss: the shape \[3, 1\] was given for 3 examples"):
        weighted_sums({"loss": jnp.ones((3, 1))}, BATCH)
    with pytest.raises(ValueError, match="error: float was given for 3 examples"):
        weighted_sums({"loss": jnp.ones(3), "error": 1.0}, BATCH)  # pyright: ignore


def test_metrics_are_means_and_start_with_the_loss():
    metrics = Task().metrics({"error": 1.0, "loss": 4.0, "weight": 2.0})
    assert list(metrics.items()) == [("loss", 2.0), ("error", 0.5)]
    assert Task().metrics({"loss": 0.0, "weight": 0.0}) == {"loss": 0.0}
    assert Task().lines("test", metrics) == [("test loss", "2"), ("test error", "0.5")]


def test_a_prediction_is_printed_as_its_numbers():
    answer = Task().answer(np.array([[0.5, 2.0]], np.float32))
    assert answer.line == "0.5, 2"
    assert answer.values == {"values": [0.5, 2.0]}
    assert answer.columns == {"value_1": 0.5, "value_2": 2.0}


def test_pictures_are_the_first_ones():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    evaluated = Evaluated(np.zeros(3), {}, images, np.arange(3))
    assert Task().pictures(evaluated, 2).ravel().tolist() == [0, 1]
    assert Task().pictures(evaluated).ravel().tolist() == [0, 1, 2]


def test_a_task_without_a_loss_names_what_to_define():
    with pytest.raises(NotImplementedError, match="NoLoss: define example_losses, or loss"):
        NoLoss().example_losses(jnp.zeros(3), BATCH, Moment(jax.random.key(0), train=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda task: task.prediction_sums(jnp.zeros(3), BATCH),
        lambda task: task.assess({}),
        lambda task: task.combine(jnp.zeros((2, 3))),
    ],
    ids=["prediction_sums", "assess", "combine"],
)
def test_an_operation_that_a_task_does_not_define_is_refused(call):
    with pytest.raises(TaskError, match=r"NoLoss: it.* (by its metrics alone|cannot be joined)"):
        call(NoLoss())


def test_a_score_is_higher_for_a_better_network():
    metrics = {"loss": 0.25, "accuracy": 0.75}
    assert Score().value(metrics) == -0.25
    assert Score("accuracy", higher_is_better=True).value(metrics) == 0.75
    with pytest.raises(KeyError, match="recall"):
        Score("recall").value(metrics)


def test_pictures_of_an_own_dataset_are_numbers_of_any_type():
    images = np.linspace(0, 1, 3, dtype=np.float32).reshape(3, 1, 1, 1)
    evaluated = Evaluated({"depth": np.zeros((3, 2))}, {}, images, np.arange(3))
    assert Task().pictures(evaluated).dtype == np.float32
