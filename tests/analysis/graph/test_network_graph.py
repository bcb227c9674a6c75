"""The reader of networks: layers, arrays between them, parameters, shapes."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest

from cnnjax import models
from cnnjax.analysis import network_graph, summarize
from cnnjax.analysis.cost.summarize import shape_variables
from tests.analysis.nets import PlainNet


class Function(linen.Module):
    """A function of an image as a model without parameters."""

    function: Any

    def __call__(self, x):
        return self.function(x)


class Residual(linen.Module):
    """A block whose turns `flax.linen.scan` repeats."""

    @linen.compact
    def __call__(self, x, _):
        return x + linen.relu(linen.Conv(8, (3, 3))(x)), None


class Loop(linen.Module):
    """Four turns of one block, and a convolution that is computed again in the backward pass."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(8, (3, 3))(x)
        blocks = linen.scan(
            Residual, variable_axes={"params": 0}, split_rngs={"params": True}, length=4
        )
        x, _ = blocks()(x, None)
        x = linen.remat(linen.Conv)(8, (3, 3), strides=2)(x)
        return linen.Dense(3)(jnp.mean(linen.avg_pool(x, (2, 2), (2, 2)), (1, 2)))


def names(nodes):
    return [node.name for node in nodes]


def edges(graph):
    return [
        (graph.nodes[each.source].name, graph.nodes[each.target].name, each.shape[1:])
        for each in graph.edges
    ]


def kinds(graph, kind):
    return [node for node in graph.nodes if node.kind == kind]


@pytest.fixture(scope="module")
def resnet18():
    return network_graph(models.create_model("resnet18"), (224, 224, 3))


@pytest.fixture(scope="module")
def googlenet():
    return network_graph(models.create_model("googlenet"), (224, 224, 3))


def test_a_resnet_has_an_addition_of_two_arrays_in_each_block(resnet18):
    additions = kinds(resnet18, "add")
    assert len(additions) == 8
    assert all(len(resnet18.producers(node.name)) == 2 for node in additions)
    # Three stages start with a projection; the other blocks add their own input.
    second = names(resnet18.producers("stage1_block2/add"))
    assert second == ["stage1_block2/bn2", "stage1_block1/relu#2"]
    assert names(resnet18.producers("stage2_block1/add")) == [
        "stage2_block1/bn2",
        "stage2_block1/Shortcut_0/bn",
    ]


def test_the_inputs_of_a_googlenets_concatenations_are_its_four_branches(googlenet):
    joins = kinds(googlenet, "concatenate")
    assert len(joins) == 9
    for node in joins:
        branches = googlenet.producers(node.name)
        assert len(branches) == 4
        assert sum(branch.shape[-1] for branch in branches) == node.shape[-1]
    # The paper's table 1, row "inception (4a)".
    assert [b.shape[-1] for b in googlenet.producers("inception_4a/concatenate")] == [
        *(192, 208, 48, 64)
    ]


def test_parameters_of_the_layers_add_up_to_the_published_count(resnet18, googlenet):
    assert resnet18.parameters == sum(node.parameters for node in resnet18.nodes) == 11_689_512
    assert resnet18.unused == 0
    # The auxiliary heads are trained, but no output is computed from them.
    heads = shape_variables(
        models.create_model("googlenet"), jax.ShapeDtypeStruct((1, 224, 224, 3), "float32"), {}
    )["params"]
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(heads[name])) for name in heads}
    assert googlenet.unused == sum(size for name, size in sizes.items() if "aux" in name) > 0
    assert googlenet.parameters == sum(sizes.values()) - googlenet.unused


@pytest.mark.parametrize("which", ["resnet18", "googlenet"])
def test_the_graph_has_one_output_and_no_cycles_and_every_layer_leads_there(which, request):
    graph = request.getfixturevalue(which)
    assert all(edge.source < edge.target for edge in graph.edges)
    assert len(set(names(graph.nodes))) == len(graph.nodes)
    reached = set(graph.outputs)
    for edge in reversed(graph.edges):
        if edge.target in reached:
            reached.add(edge.source)
    assert len(graph.outputs) == 1
    assert reached == set(range(len(graph.nodes)))


@pytest.mark.parametrize("name", ["resnet20_cifar", "wrn10_1", "lenet5_1998"])
def test_shapes_are_those_that_flax_captures(name):
    model, size = models.create_model(name), models.model_info(name).input_size
    images = jax.ShapeDtypeStruct((1, *size), jnp.float32)
    variables = shape_variables(model, images, {})
    _, state = jax.eval_shape(
        lambda v, x: model.apply(
            v, x, train=False, capture_intermediates=True, mutable=["intermediates"]
        ),
        variables,
        images,
    )
    graph = network_graph(model, size)
    captured = 0
    for index, node in enumerate(graph.nodes):
        if not node.is_module:
            continue
        value = state["intermediates"]
        for part in node.path:
            value = value[part]
        assert node.shape == value["__call__"][0].shape
        taken = {edge.shape for edge in graph.edges if edge.source == index}
        assert taken <= {node.shape}
        captured += 1
    assert captured > 5


def test_layers_are_those_of_the_summary():
    for name in ("alexnet", "resnet20_cifar"):
        model, size = models.create_model(name), models.model_info(name).input_size
        graph = network_graph(model, size)
        for row in summarize(model, size, kept=False).rows:
            node = graph.node(row.name)
            assert (row.kind, row.shape) == (node.kind, node.shape[1:])
            assert (row.parameters, row.multiply_adds) == (node.parameters, node.multiply_adds)


def test_a_network_that_is_written_with_flax_alone():
    graph = network_graph(PlainNet(), (8, 6, 3))
    assert edges(graph) == [
        ("input", "Block_0/Conv_0", (8, 6, 3)),
        ("Block_0/Conv_0", "Block_0/relu", (8, 6, 4)),
        ("Block_0/relu", "max_pool", (8, 6, 4)),
        ("max_pool", "shared/Conv_0", (4, 3, 4)),
        ("shared/Conv_0", "shared/relu", (4, 3, 4)),
        ("shared/relu", "shared/Conv_0#2", (4, 3, 4)),
        ("shared/Conv_0#2", "shared#2/relu", (4, 3, 4)),
        ("shared#2/relu", "BatchNorm_0", (4, 3, 4)),
        ("BatchNorm_0", "reshape", (4, 3, 4)),
        ("reshape", "Dense_0", (48,)),
    ]
    kernel = 3 * 3 * 4 * 4 + 4
    # Counted at the first call, known at both.
    assert [graph.node(f"shared/Conv_0{n}").parameters for n in ("", "#2")] == [kernel, 0]
    path = ("params", "shared", "Conv_0", "kernel")
    assert all(graph.node(f"shared/Conv_0{n}").variables[path] == (3, 3, 4, 4) for n in ("", "#2"))
    norm = graph.node("BatchNorm_0").variables
    assert {path[0] for path in norm} == {"params", "batch_stats"}
    assert len(norm) == 4
    assert graph.node("max_pool").window == graph.node("max_pool").stride == (2, 2)


def test_a_loop_is_one_turn_and_a_checkpoint_is_the_layer():
    graph = network_graph(Loop(), (8, 8, 3))
    assert edges(graph) == [
        ("input", "Conv_0", (8, 8, 3)),
        ("Conv_0", "ScanResidual_0/Conv_0", (8, 8, 8)),
        ("ScanResidual_0/Conv_0", "ScanResidual_0/relu", (8, 8, 8)),
        ("Conv_0", "ScanResidual_0/add", (8, 8, 8)),
        ("ScanResidual_0/relu", "ScanResidual_0/add", (8, 8, 8)),
        ("ScanResidual_0/add", "CheckpointConv_0", (8, 8, 8)),
        ("CheckpointConv_0", "avg_pool", (4, 4, 8)),
        ("avg_pool", "global_avg_pool", (2, 2, 8)),
        ("global_avg_pool", "Dense_0", (8,)),
    ]
    body = graph.node("ScanResidual_0/Conv_0")
    assert (body.turns, body.window) == (4, None)
    assert body.parameters == 4 * (3 * 3 * 8 * 8 + 8)
    assert body.multiply_adds == 4 * 8 * 8 * 3 * 3 * 8 * 8
    checkpoint = graph.node("CheckpointConv_0")
    assert (checkpoint.window, checkpoint.stride) == ((3, 3), (2, 2))
    assert graph.node("avg_pool").primitives == ("reduce_window_sum", "div")


def test_sums_of_sums_are_one_addition_and_a_mean_has_its_divisor():
    graph = network_graph(
        Function(lambda x: (jnp.tanh(x) + jnp.exp(x) + jnp.sin(x)) / 3), (4, 4, 1)
    )
    (join,) = kinds(graph, "add")
    assert names(graph.producers(join.name)) == ["tanh", "exp", "sin"]
    assert join.primitives == ("add", "add", "div")
    assert join.constants == (3.0,)


def test_a_sum_that_others_take_too_stays_an_addition_of_its_own():
    def twice(x):
        first = jnp.tanh(x) + x
        return (first + x) * jnp.exp(first)

    graph = network_graph(Function(twice), (4, 4, 1))
    assert len(kinds(graph, "add")) == 2


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (jax.nn.relu, ["relu"]),
        (jax.nn.silu, ["silu"]),
        (lambda x: jax.nn.softmax(jax.nn.gelu(jnp.exp(x))), ["exp", "gelu", "softmax"]),
        (jax.checkpoint(lambda x: jnp.tanh(x)), ["tanh"]),
        (jax.jit(lambda x: jnp.concatenate([x, jnp.tanh(x)], -1)), ["concatenate"]),
        (lambda x: x.astype(jnp.bfloat16) + jnp.bfloat16(1), ["add"]),
        (lambda x: linen.avg_pool(x, (2, 2), (2, 2)), ["avg_pool"]),
        # What no output is computed from.
        (lambda x: (jnp.exp(x), jnp.tanh(x))[1], ["tanh"]),
        (lambda x: jax.lax.while_loop(lambda y: y.sum() < 1, lambda y: y + 1, x), ["while"]),
    ],
)
def test_functions_have_names(function, expected):
    assert names(network_graph(Function(function), (4, 4, 1)).nodes)[1:] == expected


def test_several_outputs_and_the_input_itself():
    graph = network_graph(Function(lambda x: {"a": jnp.tanh(x), "b": x, "c": 3}), (4, 4, 1))
    assert [graph.nodes[i].name for i in graph.outputs] == ["tanh", "input"]


def test_a_layer_alone_is_a_network():
    graph = network_graph(linen.Conv(4, (3, 3)), (8, 6, 2))
    assert edges(graph) == [("input", "Conv", (8, 6, 2))]
    assert graph.node("Conv").parameters == 3 * 3 * 2 * 4 + 4


def test_what_a_user_may_get_wrong():
    with pytest.raises(TypeError, match=r"network_graph: model 'resnet18' is no Flax module"):
        network_graph("resnet18", (224, 224, 3))  # pyright: ignore[reportArgumentType]
    for shape in ((224, 224), (1, 224, 224, 3), (0, 4, 1), 224):
        with pytest.raises(ValueError, match="three positive integers"):
            network_graph(PlainNet(), shape)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no output of Function depends on the input"):
        network_graph(Function(lambda x: jnp.zeros(3)), (4, 4, 1))
    graph = network_graph(PlainNet(), (8, 6, 3))
    with pytest.raises(KeyError, match="did you mean shared/Conv_0"):
        graph.consumers("shared/Conv")
