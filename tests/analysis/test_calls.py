"""The recording of module calls, and the checks that all of the analysis shares."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis.calls import (
    apply_edited,
    check_names,
    evaluation_arguments,
    image_batch,
    module_calls,
    observe_calls,
    training_arguments,
)
from tests.analysis.nets import PlainNet


class Double(linen.Module):
    def __call__(self, x):
        return 2 * x


class Chain(linen.Module):
    """2 (2 x) + 1, by one module that is called twice."""

    def setup(self):
        self.double = Double()

    def __call__(self, x, train: bool = False):
        return self.double(self.double(x)) + 1


class Deterministic(linen.Module):
    def __call__(self, x, deterministic: bool):
        return x if deterministic else -x


@pytest.mark.parametrize(
    ("model", "evaluated", "trained"),
    [
        (Chain(), {"train": False}, {"train": True}),
        (Deterministic(), {"deterministic": True}, {"deterministic": False}),
        (Double(), {}, {}),
    ],
)
def test_mode_arguments_are_those_that_the_model_has(model, evaluated, trained):
    assert evaluation_arguments(model, {}) == evaluated
    assert training_arguments(model, {}) == trained


def test_given_mode_arguments_are_kept():
    assert evaluation_arguments(Chain(), {"train": True}) == {"train": True}
    assert training_arguments(Deterministic(), {"deterministic": True}) == {"deterministic": True}


def test_calls_are_recorded_with_their_occurrence_and_depth():
    calls = module_calls(Chain(), {}, jax.ShapeDtypeStruct((3,), jnp.float32))
    assert [(c.name, c.path, c.kind, c.is_leaf, c.occurrence) for c in calls] == [
        ("", (), "Chain", False, 0),
        ("double", ("double",), "Double", True, 0),
        ("double#2", ("double",), "Double", True, 1),
    ]


def test_calls_outside_of_the_block_are_not_recorded():
    with observe_calls() as calls:
        Double().apply({}, jnp.ones(2))
    Double().apply({}, jnp.ones(2))
    assert len(calls) == 1


def test_an_observer_sees_inputs_and_replaces_outputs():
    inputs = []

    def around(call, module, arguments, proceed):
        inputs.append((call.name, float(arguments[0])))
        return proceed() + (1 if call.name == "double" else 0)

    with observe_calls(around):
        result: Any = Chain().apply({}, jnp.float32(3.0))
    # 2 (2·3 + 1) + 1.
    assert float(result) == 15
    assert inputs == [("", 3.0), ("double", 3.0), ("double#2", 7.0)]


@pytest.mark.parametrize(("layer", "expected"), [("double", 41.0), ("double#2", 21.0), ("", 20.0)])
def test_one_call_is_edited_and_the_others_are_not(layer, expected):
    """x = 1: the calls return 2, 4 and 5, one of which becomes 20."""
    result = apply_edited(Chain(), {}, jnp.float32(1.0), layer, lambda output: 20 + 0 * output)
    assert float(result) == expected


def test_a_layer_to_edit_that_is_not_called_is_refused():
    with pytest.raises(KeyError, match=r"no layer of Chain is named 'doubl'; did you mean double"):
        apply_edited(Chain(), {}, jnp.ones(1), "doubl", lambda output: output)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 4, 3), r"look: images of shape \(4, 4, 3\).*for one image give images\[None\]"),
        ((4, 4), r"expected \[batch, height, width, channels\]$"),
        ((1, 1, 4, 4, 3), r"\(1, 1, 4, 4, 3\)"),
    ],
)
def test_images_of_another_rank_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        image_batch(np.zeros(shape), "look")


def test_images_may_be_lists():
    assert image_batch([[[[1.0]]]], "look").shape == (1, 1, 1, 1)


def test_names_are_checked_one_by_one():
    check_names(["a", "b"], ["b", "a", "c"], "layer")
    check_names([], [], "layer")
    with pytest.raises(KeyError, match=r"no layer is named 'zzz'; there are conv1, conv2"):
        check_names(["conv1", "zzz"], ["conv1", "conv2"], "layer")


def test_a_model_without_its_mode_is_evaluated():
    variables = jax.eval_shape(
        lambda x: PlainNet().init(jax.random.key(0), x, train=False), jnp.ones((1, 8, 8, 3))
    )
    images = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    with pytest.raises(TypeError, match="takes no argument 'training'"):
        module_calls(PlainNet(), variables, images, training=True)
    assert module_calls(PlainNet(), variables, images)[-1].name == "Dense_0"
