"""What `--parallel=jit` compiles for eight devices: activations are never gathered."""

import re

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import compiler, models, nn, tasks, training
from cnnjax.models.mobilenet_v2 import BlockRow
from cnnjax.ops.conv import dispatch
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import BatchNormScope, make_placement
from cnnjax.training.step.state import create_state

BATCH = 56
"""No other axis of any array has a multiple of it."""

JIT = Parallel("jit")
TWO_AXES = Parallel("jit", "data:4,model:2", ("(.*/)?kernel=-1", ".*=replicated"))


def compiled_programs(net, size, parallel=JIT):
    """The optimised HLO of a training step and of an evaluation, both on rows of the batch."""
    images = jnp.zeros((1, *size), jnp.float32)
    task = tasks.Classification(tuple(map(str, range(10))))
    optimizer = optax.sgd(0.1)
    shapes = jax.eval_shape(
        lambda: create_state(nn.init_network(net, jax.random.key(0), images), optimizer)
    )
    placement = make_placement(parallel, shapes.params, BATCH)
    state = placement.place(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes))
    batch = placement.put_batch(
        {
            "image": np.zeros((BATCH, *size), np.float32),
            "label": np.zeros(BATCH, np.int32),
            "weight": np.ones(BATCH, np.float32),
        }
    )

    def step(state, batch):
        with placement.batch_statistics(BatchNormScope(), BATCH):
            return training.train_step(
                state, batch, jax.random.key(0), model=net, task=task, optimizer=optimizer
            )

    def evaluate(variables, batch):
        moment = tasks.Moment(jax.random.key(0), train=False, totals=task.totals(batch))
        return task.evaluate(net, variables, batch, moment)

    compiled = jax.jit(
        placement.compile_evaluation(evaluate), compiler_options=compiler.compiler_options()
    )
    return {
        "step": placement.compile_step(step, state, batch).as_text(),
        "evaluation": compiled.lower(state.variables, batch).compile().as_text(),
    }


def gathered_batches(text, batch=BATCH):
    """The lines of an HLO program that bring a whole batch of maps to one device."""
    moves = r"(all-gather|all-to-all|collective-permute)(-start)?\("
    lines = [line.strip() for line in text.splitlines() if re.search(f" {moves}", line)]
    shape = re.compile(r"\w+\[([\d,]*)\]")
    return [
        line
        for line in lines
        if any(
            str(batch) in (dims := found.split(",")) and len(dims) > 2
            for found in shape.findall(line.split("metadata")[0])
        )
    ]


class PlainGrouped(linen.Module):
    """Flax's own layers, one of them grouped, another depthwise."""

    @linen.compact
    def __call__(self, x, train=False):
        for groups in (1, 4, 16):
            x = linen.Conv(16, (3, 3), feature_group_count=groups, use_bias=False)(x)
            x = linen.relu(linen.BatchNorm(use_running_average=not train)(x))
        return linen.Dense(10)(x.mean(axis=(1, 2)))


NETS = {
    "dense": ("resnet20_cifar", (32, 32, 3), {"blocks": (1, 1), "widths": (8, 16)}),
    "grouped": (
        "resnext50_32x4d",
        (32, 32, 3),
        {"blocks": (1,), "widths": (16,), "groups": 4, "group_width": 16},
    ),
}


def make_net(name, backward):
    entry, size, fields = NETS[name]
    return models.create_model(entry, num_classes=10, backward=backward, **fields), size


@pytest.mark.parametrize("backward", ["ours", "native"])
@pytest.mark.parametrize("name", NETS)
def test_activations_are_never_gathered(name, backward):
    for kind, text in compiled_programs(*make_net(name, backward)).items():
        assert gathered_batches(text) == [], kind


def test_nor_in_the_form_for_accelerators(monkeypatch):
    monkeypatch.setattr(dispatch, "choose", lambda *arguments, **options: "direct")
    for kind, text in compiled_programs(*make_net("grouped", "ours")).items():
        assert gathered_batches(text) == [], kind


def test_nor_where_parameters_are_cut_too():
    for kind, text in compiled_programs(*make_net("grouped", "native"), TWO_AXES).items():
        assert gathered_batches(text) == [], kind


def test_nor_by_flax_layers():
    for kind, text in compiled_programs(PlainGrouped(), (32, 32, 3)).items():
        assert gathered_batches(text) == [], kind


def test_a_gathered_batch_would_be_found():
    """XLA's partitioner gathers it, where nothing keeps grouped convolutions apart."""
    net, size = make_net("grouped", "native")
    variables = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, *size)))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    images = jax.ShapeDtypeStruct((BATCH, *size), jnp.float32, sharding=rows)
    program = jax.jit(net.apply, out_shardings=rows).lower(variables, images).compile()
    if not gathered_batches(program.as_text()):
        pytest.skip("this XLA keeps grouped convolutions cut by itself")


@pytest.mark.parametrize("backward", ["ours", "native"])
def test_grouped_gradients_on_two_mesh_axes_are_those_of_one_device(backward):
    """XLA's partitioner gets them wrong there: they were half zeros."""
    model = nn.Conv(8, (3, 3), feature_group_count=4, backward=backward, dtype=jnp.float64)
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    with jax.enable_x64(True):
        x, up = (jax.random.normal(jax.random.key(n), (8, 6, 6, 8), jnp.float64) for n in (0, 1))
        variables = jax.jit(model.init)(jax.random.key(2), x)

        def gradients(x, up):
            def loss(variables, x):
                with nn.batch_over(mesh, "data"):
                    return jnp.sum(jnp.asarray(model.apply(variables, x)) * up)

            return jax.grad(loss, argnums=(0, 1))(variables, x)

        expected = jax.jit(
            jax.grad(lambda v, x: jnp.sum(jnp.asarray(model.apply(v, x)) * up), argnums=(0, 1))
        )
        got = jax.jit(gradients, in_shardings=rows)(x, up)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12),
            got,
            expected(variables, x),
        )


@pytest.mark.slow
@pytest.mark.parametrize("backward", ["ours", "native"])
@pytest.mark.parametrize(
    ("name", "side", "fields"),
    [
        ("lenet5", 32, {}),
        ("lenet5_1998", 32, {}),
        ("alexnet", 227, {}),
        ("zfnet", 224, {}),
        ("vgg11_bn", 64, {}),
        ("vgg11_lrn", 64, {}),
        ("googlenet", 96, {}),
        ("inception_v3", 139, {"aux_heads": False}),
        ("fractalnet20", 32, {}),
        ("resnet18", 64, {"blocks": (1, 1, 1, 1)}),
        ("plain18", 64, {"blocks": (1, 1, 1, 1)}),
        ("preact_resnet50", 64, {"blocks": (1, 1, 1, 1)}),
        ("wrn16_4", 32, {}),
        ("resnext50_32x4d", 64, {"blocks": (1, 1, 1, 1)}),
        ("densenet16_4_cifar", 32, {}),
        ("mobilenet_v2_050", 32, {"rows": (BlockRow(1, 16, 1, 1), BlockRow(6, 24, 2, 2))}),
        ("squeezenet1_1", 64, {}),
    ],
)
def test_no_family_gathers_activations(name, side, fields, backward):
    channels = 1 if name.startswith("lenet") else 3
    net = models.create_model(name, num_classes=10, backward=backward, **fields)
    for kind, text in compiled_programs(net, (side, side, channels)).items():
        assert gathered_batches(text) == [], kind
