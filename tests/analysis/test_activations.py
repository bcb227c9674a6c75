from typing import Any

import flax.linen as linen
import jax
import numpy as np
import pytest

from cnnjax.analysis import activation_shapes, activations, module_calls, stage_activations
from cnnjax.analysis.looks.activations import output_shapes
from cnnjax.reports.looking_section import map_layers
from tests.analysis.nets import PlainNet, initialized


@pytest.fixture(scope="module")
def net():
    model = PlainNet()
    variables, images = initialized(model, (2, 8, 8, 3), train=False)
    return model, variables, images


def test_calls_come_in_order_and_count_repeats(net):
    calls = module_calls(*net)
    assert [call.name for call in calls] == [
        "",
        "Block_0",
        "Block_0/Conv_0",
        "shared",
        "shared/Conv_0",
        "shared#2",
        "shared/Conv_0#2",
        "BatchNorm_0",
        "Dense_0",
    ]
    leaves = [call.kind for call in calls if call.is_leaf]
    assert leaves == ["Conv", "Conv", "Conv", "BatchNorm", "Dense"]


class TwoSizes(linen.Module):
    """Returns maps by their stride."""

    @linen.compact
    def __call__(self, x):
        return {1: linen.Conv(2, (3, 3))(x), 2: x[:, ::2, ::2]}


class Joined(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        return linen.Conv(3, (1, 1))(TwoSizes()(x)[1])


def test_a_module_that_returns_several_arrays_has_no_shape():
    variables, images = initialized(Joined(), (2, 8, 8, 3), train=False)
    shapes = {n: s.shape for n, s in output_shapes(Joined(), variables, images).items()}
    assert "TwoSizes_0" not in shapes
    assert shapes["TwoSizes_0/Conv_0"] == (2, 8, 8, 2) and shapes["Conv_0"] == (2, 8, 8, 3)
    # A report shows the maps of the outermost modules that have one array.
    assert map_layers(Joined(), variables, np.asarray(images)) == ["Conv_0"]


def test_activations_are_what_the_layers_compute(net):
    model, variables, images = net
    outputs = activations(model, variables, images)
    params = variables["params"]
    first: Any = linen.Conv(4, (3, 3)).apply({"params": params["Block_0"]["Conv_0"]}, images)
    np.testing.assert_allclose(outputs["Block_0/Conv_0"], first, rtol=1e-5, atol=1e-6)
    pooled = linen.max_pool(linen.relu(first), (2, 2), (2, 2))
    shared = linen.Conv(4, (3, 3))
    once: Any = shared.apply({"params": params["shared"]["Conv_0"]}, pooled)
    twice: Any = shared.apply({"params": params["shared"]["Conv_0"]}, linen.relu(once))
    np.testing.assert_allclose(outputs["shared/Conv_0"], once, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs["shared/Conv_0#2"], twice, rtol=1e-5, atol=1e-6)
    logits = model.apply(variables, images, train=False)
    np.testing.assert_allclose(outputs["Dense_0"], logits, rtol=1e-5, atol=1e-6)


def test_names_choose_and_unknown_ones_are_refused(net):
    assert list(activations(*net, names=["Dense_0", "shared"])) == ["Dense_0", "shared"]
    with pytest.raises(KeyError, match=r"'Dens_0'; did you mean Dense_0"):
        activations(*net, names=["Dens_0"])


def test_shapes_are_those_of_the_activations(net):
    model, variables, images = net
    shapes = activation_shapes(
        model, jax.eval_shape(lambda: variables), jax.eval_shape(lambda: images)
    )
    outputs = activations(model, variables, images)
    assert list(shapes) == list(outputs)
    assert {n: (s.shape, s.dtype) for n, s in shapes.items()} == {
        n: (o.shape, o.dtype) for n, o in outputs.items()
    }
    with pytest.raises(KeyError, match="did you mean Dense_0"):
        activation_shapes(model, variables, images, names=["Dens_0"])


def test_stages_are_at_most_the_limit(net):
    assert len(stage_activations(*net)) == 5
    assert list(stage_activations(*net, limit=4)) != []
    for limit in range(1, 6):
        stages = stage_activations(*net, limit=limit)
        assert 1 <= len(stages) <= limit and list(stages)[-1] == "Dense_0"


def test_arguments_that_were_not_given_are_named():
    class Conditioned(linen.Module):
        @linen.compact
        def __call__(self, x, style, train=False):
            return linen.Dense(2)(x) * style

    model = Conditioned()
    images = jax.numpy.ones((1, 3))
    variables = model.init(jax.random.key(0), images, 2.0)
    with pytest.raises(TypeError, match="Conditioned: __call__ needs the argument 'style'"):
        activations(model, variables, images)
    with pytest.raises(TypeError, match="takes no argument 'stile'"):
        activations(model, variables, images, stile=2.0)
    assert list(activations(model, variables, images, style=2.0)) == ["Dense_0"]


def test_outputs_that_are_no_single_array_are_left_out():
    class Pair(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(2, name="one")(x), x

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            first, second = Pair(name="pair")(x)
            return linen.Dense(3, name="two")(first) + second[:, :1]

    variables, inputs = initialized(Net(), (2, 4))
    assert list(activations(Net(), variables, inputs)) == ["pair/one", "two"]
    with pytest.raises(KeyError, match="no layer of Net is named 'pair'"):
        activations(Net(), variables, inputs, names=["pair"])
    whole = activations(Net(), variables, inputs, names=[""])[""]
    applied: Any = Net().apply(variables, inputs)
    np.testing.assert_allclose(whole, applied, rtol=1e-5)


class Deep(linen.Module):
    """Three stages of two blocks of two dense layers, and a head."""

    @linen.compact
    def __call__(self, x):
        for stage in range(3):
            x = Stage(name=f"stage{stage}")(x)
        return linen.Dense(2, name="head")(x)


class Stage(linen.Module):
    @linen.compact
    def __call__(self, x):
        for block in range(2):
            x = Pairs(name=f"block{block}")(x)
        return x


class Pairs(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(4, name="b")(linen.Dense(4, name="a")(x))


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        (13, [f"stage{s}/block{b}/{n}" for s in range(3) for b in range(2) for n in "ab"]),
        (7, [f"stage{s}/block{b}" for s in range(3) for b in range(2)]),
        (6, [f"stage{s}" for s in range(3)]),
        (4, [f"stage{s}" for s in range(3)]),
        (2, ["stage1"]),
        (1, []),
    ],
)
def test_stages_are_the_finest_level_with_few_modules(limit, names):
    variables, inputs = initialized(Deep(), (1, 4))
    assert list(stage_activations(Deep(), variables, inputs, limit=limit)) == [*names, "head"]


def test_a_limit_below_1_is_refused():
    variables, inputs = initialized(Deep(), (1, 4))
    with pytest.raises(ValueError, match="limit 0 is below 1"):
        stage_activations(Deep(), variables, inputs, limit=0)
