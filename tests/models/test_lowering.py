"""A training step of every network lowers for CPU, CUDA and TPU, on a machine with CPUs alone."""

import jax
import jax.numpy as jnp
import pytest
from jax import export

from cnnjax import models
from cnnjax.models.mobilenet_v2 import BlockRow
from tests.models.shapes import variables_of

PLATFORMS = ("cpu", "cuda", "tpu")
SMALL = [
    ("lenet5", {}),
    ("lenet5_1998", {}),
    ("alexnet", {"hidden": (16, 16)}),
    ("vgg11_bn", {"hidden": (16, 16)}),
    ("resnet8_cifar", {}),
    ("resnext50_32x4d", {"blocks": (1, 1), "widths": (64, 128)}),
    ("preact_resnet11_cifar", {"remat": True}),
    ("densenet10_4_cifar", {"remat": True}),
    ("mobilenet_v2_050", {"rows": (BlockRow(1, 16, 1, 1), BlockRow(6, 24, 2, 2))}),
    ("squeezenet1_1", {"fires": (((4, 8), (4, 8)),)}),
    ("fractalnet20", {"widths": (8, 16), "dropout_rates": (0.0, 0.1)}),
]


def check_lowers(name, settings):
    model, info = models.create_model(name, **settings), models.model_info(name)
    variables = dict(variables_of(model, info.input_size))
    params = variables.pop("params")
    images = jax.ShapeDtypeStruct((2, *info.input_size), jnp.float32)

    def step(params, statistics, x, seed):
        def loss(params):
            (logits, features), updates = models.apply_with_features(
                model,
                {"params": params, **statistics},
                x,
                train=True,
                rngs={"dropout": jax.random.key(seed)},
                mutable=["batch_stats"],
            )
            heads = [logits, *(f for n, f in features.items() if n.startswith("aux"))]
            return sum(jax.nn.logsumexp(head, axis=-1).mean() for head in heads), updates

        gradients, updates = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), updates

    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    exported = export.export(jax.jit(step), platforms=PLATFORMS)(params, variables, images, seed)
    assert exported.platforms == PLATFORMS
    assert [a.shape for a in exported.out_avals] == [
        a.shape for a in jax.tree.leaves((params, variables))
    ]


@pytest.mark.parametrize(("name", "settings"), SMALL, ids=[row[0] for row in SMALL])
def test_training_steps_of_small_networks_lower_for_every_platform(name, settings):
    check_lowers(name, settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.list_models())
def test_training_steps_of_all_networks_lower_for_every_platform(name):
    check_lowers(name, {})
