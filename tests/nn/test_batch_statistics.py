"""nn.batch_statistics: a context that sets which examples share statistics."""

import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, nn
from tests.helpers import trees

X = 2.0 + 3.0 * jax.random.normal(jax.random.key(0), (8, 5, 5, 6))

assert_close = functools.partial(trees.assert_close, atol=1e-5)


class Ours(linen.Module):
    @linen.compact
    def __call__(self, x, train=True):
        x = nn.Conv(4, (3, 3), name="conv")(x)
        x = nn.BatchNorm(use_running_average=not train, name="bn")(x)
        return nn.BatchNorm(use_running_average=not train, name="last")(linen.relu(x))


class Theirs(linen.Module):
    @linen.compact
    def __call__(self, x, train=True):
        x = linen.Conv(4, (3, 3), name="conv")(x)
        # The mode as a field, and as an argument.
        norm = linen.BatchNorm(use_running_average=not train, momentum=0.9, name="bn")
        x = linen.relu(norm(x))
        return linen.BatchNorm(momentum=0.9, name="last")(x, not train)


class Homemade(linen.Module):
    """A norm that keeps statistics, and takes no axis."""

    @linen.compact
    def __call__(self, x, train=True):
        mean = self.variable("batch_stats", "mean", jnp.zeros, x.shape[-1:])
        if train and not self.is_initializing():
            mean.value = 0.9 * mean.value + 0.1 * x.mean(axis=(0, 1, 2))
        return x - mean.value.reshape(1, 1, 1, -1)


class WithHomemade(linen.Module):
    @linen.compact
    def __call__(self, x, train=True):
        return Homemade(name="center")(linen.Dense(3, name="dense")(x), train)


def variables_of(model):
    return model.init(jax.random.key(1), X)


def trained(model, variables, x):
    return model.apply(variables, x, mutable=["batch_stats"])


@pytest.mark.parametrize("model", [Ours(), Theirs()], ids=["ours", "flax"])
@pytest.mark.parametrize("mapped", [jax.vmap, jax.pmap], ids=["vmap", "pmap"])
def test_statistics_are_averaged_over_the_axis_that_the_context_names(model, mapped):
    variables = variables_of(model)
    whole, stats = trained(model, variables, X)

    def step(x):
        with nn.batch_statistics("device"):
            return trained(model, variables, x)

    parts, part_stats = mapped(step, axis_name="device")(X.reshape(4, 2, *X.shape[1:]))
    assert_close(parts.reshape(whole.shape), whole)
    assert_close(jax.tree.map(lambda s: s[0], part_stats), stats)


@pytest.mark.parametrize("model", [Ours(), Theirs()], ids=["ours", "flax"])
def test_groups_along_the_axis_have_statistics_of_their_own(model):
    variables = variables_of(model)
    halves = [trained(model, variables, part)[0] for part in (X[:4], X[4:])]

    def step(x):
        with nn.batch_statistics("device", axis_groups=[[0, 1], [2, 3]]):
            return trained(model, variables, x)[0]

    parts = jax.pmap(step, axis_name="device")(X.reshape(4, 2, *X.shape[1:]))
    assert_close(parts.reshape(8, 5, 5, 4), jnp.concatenate(halves))


def test_groups_of_examples_have_statistics_of_their_own():
    variables = variables_of(Ours())
    halves = [trained(Ours(), variables, part)[0] for part in (X[:4], X[4:])]
    with nn.batch_statistics(groups=2):
        assert_close(trained(Ours(), variables, X)[0], jnp.concatenate(halves))


def test_a_layers_own_fields_come_first():
    bn = nn.BatchNorm(use_running_average=False, groups=1)
    variables = bn.init(jax.random.key(0), X)
    expected = trained(bn, variables, X)
    with nn.batch_statistics(groups=4):
        assert_close(trained(bn, variables, X), expected, atol=0)
    flax_norm = linen.BatchNorm(use_running_average=False, axis_name="outer")
    parts = X.reshape(2, 4, *X.shape[1:])

    def step(x):
        with nn.batch_statistics("inner"):
            return trained(flax_norm, variables, x)[0]

    got = jax.vmap(step, axis_name="outer")(parts)
    whole = linen.BatchNorm(use_running_average=False)
    assert_close(got.reshape(X.shape), trained(whole, variables, X)[0])


@pytest.mark.parametrize("model", [Ours(), Theirs()], ids=["ours", "flax"])
@pytest.mark.parametrize("frozen", ["bn", "last"])
def test_frozen_modules_use_and_keep_their_running_statistics(model, frozen):
    variables = variables_of(model)
    shifted = jax.tree.map(lambda s: s + 0.37, variables["batch_stats"])
    variables = {**variables, "batch_stats": shifted}
    with nn.batch_statistics(frozen=(frozen,)):
        y, updated = jax.jit(lambda v, x: trained(model, v, x))(variables, X)
    for name, stats in updated["batch_stats"].items():
        same = jax.tree.map(lambda a, b: np.array_equal(a, b), stats, shifted[name])
        assert all(jax.tree.leaves(same)) == (name == frozen), name
    with nn.batch_statistics(frozen=["bn", "last"]):
        both = trained(model, variables, X)[0]
    assert_close(both, model.apply(variables, X, train=False), atol=1e-6)
    assert float(jnp.abs(y - both).max()) > 1e-2


@pytest.mark.parametrize("options", [{}, {"remat": True}, {"scan": True}])
def test_a_frozen_block_of_a_network_keeps_all_in_it(options):
    model = models.create_model(
        "resnet20_cifar", num_classes=4, blocks=(3,), widths=(4,), **options
    )
    x = X[..., :3]
    variables = model.init(jax.random.key(0), x)
    block = "stage1_rest" if "scan" in options else "stage1_block2"
    with nn.batch_statistics(frozen=(block,)):
        _, updated = model.apply(variables, x, train=True, mutable=["batch_stats"])
    for name, stats in updated["batch_stats"].items():
        same = jax.tree.map(np.array_equal, stats, variables["batch_stats"][name])
        assert all(jax.tree.leaves(same)) == (name == block), name


def test_contexts_do_not_share_compiled_programs():
    variables = variables_of(Ours())
    traces = []

    @jax.jit
    def step(x):
        traces.append(nn.current_statistics().groups)
        return trained(Ours(), variables, x)[0]

    plain = step(X)
    with nn.batch_statistics(groups=2):
        grouped = step(X)
        np.testing.assert_array_equal(step(X), grouped)
    with nn.batch_statistics(groups=4):
        step(X)
    with nn.batch_statistics(groups=2):
        np.testing.assert_array_equal(step(X), grouped)
    np.testing.assert_array_equal(step(X), plain)
    assert traces == [1, 2, 4]
    assert float(jnp.abs(plain - grouped).max()) > 1e-2


def test_a_context_inside_a_compiled_function_reaches_its_gradient():
    variables = variables_of(Theirs())

    def loss(x, groups):
        with nn.batch_statistics("device", axis_groups=groups):
            return jnp.sum(jnp.sin(trained(Theirs(), variables, x)[0]))

    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(trained(Theirs(), variables, x)[0]))))(X)
    parts = jax.pmap(jax.grad(lambda x: loss(x, None)), axis_name="device")(
        X.reshape(4, 2, *X.shape[1:])
    )
    assert_close(parts.reshape(X.shape), gradient, atol=2e-5)


def test_nested_contexts_add_up():
    with nn.batch_statistics("device", frozen=("a",)):
        with nn.batch_statistics(frozen=("b",)) as both:
            assert (both.axis, both.frozen) == ("device", ("a", "b"))
        with nn.batch_statistics(groups=2) as inner:
            assert (inner.axis, inner.groups, inner.frozen) == (None, 2, ("a",))
        assert nn.current_statistics().axis == "device"
    assert nn.current_statistics() == type(inner)()


def test_flax_batch_norm_with_groups_of_examples_is_refused_by_name():
    variables = variables_of(Theirs())
    with nn.batch_statistics(groups=2), pytest.raises(ValueError, match=r"^bn: flax.* of 2 groups"):
        trained(Theirs(), variables, X)
    with nn.batch_statistics(groups=2):  # running statistics know no groups
        Theirs().apply(variables, X, train=False)


@pytest.mark.parametrize(
    ("around", "message"),
    [
        ({"axis": "device"}, "^center: Homemade keeps batch_stats, .* the mapped axis 'device'"),
        ({"groups": 2}, r"^center: Homemade .* of 2 separate groups"),
        ({"frozen": ("center",)}, r"^center: Homemade is frozen"),
    ],
)
def test_other_norms_with_statistics_are_refused_by_name(around, message):
    variables = variables_of(WithHomemade())
    expected = WithHomemade().apply(variables, X, train=False)

    def step(x, train):
        with nn.batch_statistics(**around):
            return WithHomemade().apply(variables, x, train, mutable=["batch_stats"])[0]

    mapped = jax.vmap(lambda x: step(x, True), axis_name="device")
    with pytest.raises(ValueError, match=message):
        mapped(X[None])
    assert_close(jax.vmap(lambda x: step(x, False), axis_name="device")(X[None])[0], expected)


def test_norms_without_statistics_and_spectral_norm_need_nothing():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.LayerNorm()(linen.GroupNorm(2)(x))
            return linen.SpectralNorm(linen.Dense(3))(x, update_stats=True)

    variables = Net().init(jax.random.key(0), X)
    expected = trained(Net(), variables, X)
    with nn.batch_statistics("device", frozen=("",)):
        got = jax.vmap(lambda x: trained(Net(), variables, x), axis_name="device")(X[None])
    assert_close(jax.tree.map(lambda leaf: leaf[0], got), expected)


def test_norms_whose_parameters_are_all_frozen_are_found():
    variables = variables_of(Ours())
    frozen = jax.tree.map(lambda _: False, variables["params"])
    assert nn.frozen_norms(variables, frozen) == ()
    frozen["bn"] = {"scale": True, "bias": True}
    frozen["last"]["scale"] = True
    assert nn.frozen_norms(variables, frozen) == ("bn",)
    assert nn.frozen_norms(variables, jax.tree.map(lambda _: True, frozen)) == ("bn", "last")


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"axis_groups": [[0]]}, ValueError, "but axis is None; name the mapped axis"),
        ({"groups": 0}, ValueError, "groups must be an int of at least 1, got 0"),
        ({"frozen": "bn"}, TypeError, "give a tuple of module paths"),
    ],
)
def test_invalid_contexts_are_refused(given, kind, message):
    with pytest.raises(kind, match=message), nn.batch_statistics(**given):
        pass
