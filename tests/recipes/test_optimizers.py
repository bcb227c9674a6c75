"""Update rules beyond the classic four: optax's aliases, Muon, and those of a user's."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import recipes, training
from cnnjax.recipes.make_optimizer import make_optimizer
from cnnjax.recipes.optimizers import OPTIMIZERS, kernel_matrices
from cnnjax.recipes.schema import OptimizerConfig
from cnnjax.training.step.freezing import Freezing

OWN = "tests.recipes.rules:scaled_sgd"


def network_params(seed=0):
    shapes = {
        "conv": {"kernel": (3, 3, 4, 8), "bias": (8,)},
        "norm": {"scale": (8,)},
        "head": {"kernel": (32, 10), "bias": (10,)},
    }
    values = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: jnp.asarray(values.normal(size=shape), jnp.float32),
        shapes,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def updates_of(config, count=2, params=None, wrap=lambda rule, params: rule):
    """Returns the updates after `count` steps on the same gradients at a rate of 0.01."""
    params = network_params() if params is None else params
    rule = wrap(make_optimizer(config, optax.constant_schedule(0.01), params), params)
    state = rule.init(params)
    gradients = network_params(seed=1)
    updates: Any = None
    for _ in range(count):
        updates, state = rule.update(gradients, state, params, value=jnp.float32(2.0))
    return updates


@functools.cache
def plain_updates(name):
    return updates_of(OptimizerConfig(name=name))


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_rule_moves_every_parameter_downhill(name):
    updates = plain_updates(name)
    gradients = network_params(seed=1)
    pairs = list(zip(jax.tree.leaves(updates), jax.tree.leaves(gradients), strict=True))
    assert all(np.isfinite(update).all() and (update != 0).any() for update, _ in pairs)
    assert sum(float(jnp.vdot(update, gradient)) for update, gradient in pairs) < 0


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_rule_is_optaxs_own_with_its_own_defaults(name):
    if name in ("sgd", "rmsprop", "muon"):  # ours have momentum; Muon is tested below
        return
    function = getattr(optax, name, None) or getattr(optax.contrib, name)
    decays = name in ("adamw", "adamaxw", "nadamw", "lion")
    options = {"weight_decay": 0.0} if decays else {}
    theirs = function(0.01, **options)
    theirs = optax.with_extra_args_support(theirs)
    params, gradients = network_params(), network_params(seed=1)
    state = theirs.init(params)
    for _ in range(2):
        expected, state = theirs.update(gradients, state, params, value=jnp.float32(2.0))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), plain_updates(name), expected
    )


@pytest.mark.parametrize("name", ["adamw", "nadamw", "lion", "lamb", "lars", "adafactor", "muon"])
def test_decay_acts_on_kernels_alone(name):
    plain = plain_updates(name)
    decayed = updates_of(OptimizerConfig(name=name, weight_decay=0.5))
    for layer, leaves in plain.items():
        for leaf, update in leaves.items():
            same = np.array_equal(update, decayed[layer][leaf])
            assert same == (leaf != "kernel"), (layer, leaf)
    if name in ("adamw", "nadamw", "lion", "muon"):
        np.testing.assert_allclose(
            decayed["conv"]["kernel"] - plain["conv"]["kernel"],
            -0.01 * 0.5 * network_params()["conv"]["kernel"],
            rtol=1e-3,
            atol=1e-7,
        )


@pytest.mark.parametrize("layer", ["conv", "head"])
def test_muon_orthogonalizes_the_updates_of_kernels(layer):
    update = np.asarray(plain_updates("muon")[layer]["kernel"], np.float64)
    matrix = update.reshape(-1, update.shape[-1]) / 0.01
    gradient = np.asarray(network_params(seed=1)[layer]["kernel"]).reshape(matrix.shape)
    values = np.linalg.svd(matrix, compute_uv=False)
    # Five Newton-Schulz iterations bring them between 0.7 and 1.2, not to one (Jordan 2024).
    assert values.min() > 0.6 and values.max() < 1.3
    # The nearest orthogonal matrix to the gradient is u v^T of its singular vectors.
    u, _, v = np.linalg.svd(gradient, full_matrices=False)
    cosine = -np.vdot(matrix, u @ v) / (np.linalg.norm(matrix) * np.linalg.norm(u @ v))
    assert cosine > 0.95


def test_muon_hands_other_parameters_to_adam():
    updates, adam = plain_updates("muon"), plain_updates("nadam")
    for layer, leaf in (("conv", "bias"), ("norm", "scale"), ("head", "bias")):
        np.testing.assert_allclose(updates[layer][leaf], adam[layer][leaf], rtol=1e-5)


@pytest.mark.parametrize("name", ["muon", "lamb", "lars", "adafactor", "lion"])
def test_rates_clipping_and_freezing_work_with_any_rule(name):
    config = OptimizerConfig(
        name=name,
        weight_decay=0.1,
        gradient_clip=1.0,
        rates=(("conv/.*", 0.5), (".*", 1.0)),
    )
    rules = (("head/.*", True), (".*", False))
    updates = updates_of(config, wrap=lambda rule, params: Freezing(rules).wrap(rule, params))
    assert all((update == 0).all() for update in jax.tree.leaves(updates["head"]))
    assert (updates["conv"]["kernel"] != 0).any()


def test_options_reach_the_rule():
    plain = updates_of(OptimizerConfig(name="adam"))
    given = updates_of(OptimizerConfig(name="adam", options={"b1": 0.5}))
    momentum = updates_of(OptimizerConfig(name="adam", momentum=0.5))
    assert not np.allclose(plain["norm"]["scale"], given["norm"]["scale"], rtol=0, atol=0)
    np.testing.assert_array_equal(given["norm"]["scale"], momentum["norm"]["scale"])


def test_a_rule_of_ones_own_is_given_by_its_path():
    config = OptimizerConfig(name=OWN, options={"share": 0.5}, weight_decay=0.1)
    gradient = network_params(seed=1)["head"]["kernel"] + 0.1 * network_params()["head"]["kernel"]
    found = updates_of(config, count=1)["head"]["kernel"]
    np.testing.assert_allclose(found, -0.01 * 0.5 * gradient, rtol=1e-5)
    momentum = updates_of(config.model_copy(update={"momentum": 0.9}), count=2)
    np.testing.assert_allclose(momentum["head"]["kernel"], found * 1.9, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "lion", "options": {"b3": 1}}, r"options\.b3: lion takes no b3; .*b2.*allowed: "),
        ({"name": "adam", "options": {"nesterv": True}}, "did you mean nesterov"),
        (
            {"name": "adamw", "options": {"weight_decay": 1}},
            r"key of its own; set optimizer\.weight_decay",
        ),
        ({"name": "adamw", "options": {"mask": 1}}, r"set optimizer\.decay"),
        (
            {"momentum": 0.5, "options": {"momentum": 0.8}},
            r"sgd's momentum has a key of its own; set optimizer\.momentum",
        ),
        ({"name": "muon", "momentum": 0.9}, r"muon, which has none; .*options: .*beta"),
        ({"name": "novograd", "nesterov": True}, r"optimizer\.nesterov: True was given with"),
        ({"name": "momo", "weight_decay": 0.1}, r"set optimizer\.options\.weight_decay instead"),
        ({"name": OWN}, r"needs share; set optimizer\.options\.share"),
        ({"name": "tests.recipes.rules:no_rule"}, "must return an optax.GradientTransformation"),
        ({"name": "tests.recipes.rules:scald_sgd"}, "has no 'scald_sgd'; did you mean scaled_sgd"),
    ],
)
def test_what_no_rule_takes_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        updates_of(OptimizerConfig(**settings))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"optimizer": {"name": "adamm"}},
            r"^config\.optimizer\.name: unknown .*'adamm'; ",
        ),
        ({"schedule": {"name": "cosin"}}, r"^config\.schedule\.name: .*did you mean cosine"),
        ({"schedule": {"name": "a b:c"}}, r"config\.schedule\.name: .* is no path; one has the"),
    ],
)
def test_names_are_checked_when_a_configuration_is_read(values, message):
    with pytest.raises(training.ConfigError, match=message):
        recipes.parse_config(values)


def test_a_path_is_taken_as_it_is_when_a_configuration_is_read():
    assert recipes.parse_config({"optimizer": {"name": "not_yet:there"}})


def test_muon_takes_arrays_of_two_axes_or_more_named_kernel():
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), network_params()
    )
    found = kernel_matrices({**shapes, "odd": {"kernel": jnp.ones(3)}})
    assert found["conv"]["kernel"].reduction_axis == (0, 1, 2)
    assert found["conv"]["kernel"].output_axis == (3,)
    others = (found["conv"]["bias"], found["norm"]["scale"], found["odd"]["kernel"])
    assert others == (None, None, None)
