"""The two sides of residual blocks, in networks whose blocks are written out."""

import flax.linen as linen
import jax
import numpy as np
import pytest

from cnnjax import models
from cnnjax.analysis.behavior.residuals import residual_blocks
from tests.analysis.nets import initialized


class Linear(linen.Module):
    """x + s F(x), with F a matrix times a matrix, then a projected block."""

    scale: float = 0.5

    @linen.compact
    def __call__(self, x):
        inner = linen.Dense(6, use_bias=False, name="up")(x)
        x = x + self.scale * linen.Dense(4, use_bias=False, name="down")(inner)
        branch = linen.Dense(3, name="one")(linen.relu(linen.Dense(5, name="two")(x)))
        return linen.relu(branch + linen.Dense(3, name="projection")(x))


def size(x):
    return np.sqrt((x**2).mean())


def test_the_ratio_is_that_of_the_written_out_sums():
    variables, inputs = initialized(Linear(), (9, 4))
    kernel = {n: np.asarray(p["kernel"], np.float64) for n, p in variables["params"].items()}
    x = np.asarray(inputs, np.float64)
    branch = 0.5 * (x @ kernel["up"] @ kernel["down"])
    first, second = residual_blocks(Linear(), variables, inputs)
    assert first.branch == pytest.approx(size(branch), rel=1e-4)
    assert first.shortcut == pytest.approx(size(x), rel=1e-4)
    assert first.ratio == pytest.approx(np.linalg.norm(branch) / np.linalg.norm(x), rel=1e-4)
    x = x + branch
    branch = np.maximum(x @ kernel["two"], 0) @ kernel["one"]
    assert second.branch == pytest.approx(size(branch), rel=1e-4)
    assert second.shortcut == pytest.approx(size(x @ kernel["projection"]), rel=1e-4)
    assert [first.name, second.name] == ["sum after down", "sum after projection"]


def test_the_blocks_of_a_resnet_are_found_with_every_form_of_recomputation():
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    blocks = {}
    for remat in (False, True):
        model = models.create_model("resnet8_cifar", num_classes=3, remat=remat)
        blocks[remat] = residual_blocks(model, model.init(jax.random.key(0), images), images)
    names = ["stage1_block1", "stage2_block1", "stage3_block1"]
    assert [block.name for block in blocks[False]] == names
    for plain, again in zip(*blocks.values(), strict=True):
        assert plain.ratio == pytest.approx(again.ratio, rel=1e-4)


def test_a_block_that_starts_as_its_shortcut_adds_nothing():
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    model = models.create_model("resnet8_cifar", num_classes=3, zero_init_gamma=True)
    blocks = residual_blocks(model, model.init(jax.random.key(0), images), images)
    assert [block.ratio for block in blocks] == [0, 0, 0]


def test_sums_of_equal_branches_and_plain_networks_are_no_blocks():
    class Sums(linen.Module):
        @linen.compact
        def __call__(self, x):
            # The second column has one convolution more, but the first is no projection.
            columns = linen.Conv(4, (3, 3))(x) + linen.Conv(4, (3, 3))(linen.Conv(4, (3, 3))(x))
            equal = linen.Conv(4, (1, 1))(x) + linen.Conv(4, (1, 1))(x)
            return linen.relu(columns + 1.0) * equal

    variables, images = initialized(Sums(), (2, 6, 6, 4))
    assert residual_blocks(Sums(), variables, images) == []
