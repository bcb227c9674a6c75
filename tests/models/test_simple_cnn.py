"""SimpleCNN: its choices against sums in NumPy, their parameters, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from cnnjax.recipes.config import RunConfig
from cnnjax.recipes.network import make_network
from tests.helpers import reference
from tests.helpers.programs import quickly
from tests.models.shapes import drawn, size, variables_of

SIZE = (8, 9, 3)
SMALL: dict[str, Any] = {"num_classes": 5, "widths": (4, 6)}


def _net(**fields):
    return models.create_model("simple_cnn", **{**SMALL, **fields})


def _conv(x, layer, padding="SAME", mode="zeros"):
    """A convolution with an odd kernel, and its bias."""
    kernel = np.asarray(layer["kernel"], np.float64)
    pads = [(0, 0), *((k // 2, k // 2) for k in kernel.shape[:2]), (0, 0)]
    if padding == "SAME":
        numpy_mode: Any = {"zeros": "constant", "reflect": "reflect"}[mode]
        x = np.pad(x, pads, mode=numpy_mode)
    return reference.conv2d(x, kernel) + np.asarray(layer.get("bias", 0))


def _pooled(x, reduce, window=2, stride=2):
    rows, columns = ((n - window) // stride + 1 for n in x.shape[1:3])
    y = np.zeros((x.shape[0], rows, columns, x.shape[3]))
    for r, c in np.ndindex(rows, columns):
        place = x[:, r * stride : r * stride + window, c * stride : c * stride + window]
        y[:, r, c] = reduce(place, axis=(1, 2))
    return y


def _logits(variables, x, fields):
    """The network as its docstring draws it, with batch norm in evaluation and a rectifier."""
    params, stats = variables["params"], variables["batch_stats"]
    fields = {"norm_place": "before", "shortcut": "none", "padding": "SAME", "depth": 1} | fields
    early = fields["shortcut"] in ("sum", "scaled", "gated")

    def norm(y, name, place):
        if fields["norm_place"] != place:
            return y
        scale, bias = params[name]["scale"], params[name]["bias"]
        mean, var = (np.asarray(stats[name][s], np.float64) for s in ("mean", "var"))
        return (y - mean) / np.sqrt(var + 1e-5) * np.asarray(scale) + np.asarray(bias)

    x = np.asarray(x, np.float64)
    for stage in ("stage1", "stage2"):
        branch = x
        for c in range(1, fields["depth"] + 1):
            mode = fields.get("padding_mode", "zeros")
            branch = _conv(branch, params[f"{stage}_conv{c}"], fields["padding"], mode)
            branch = norm(branch, f"{stage}_norm{c}", "before")
            if c < fields["depth"] or not early:
                branch = norm(np.maximum(branch, 0), f"{stage}_norm{c}", "after")
        if early:
            fitted = x
            if f"{stage}_projection" in params:
                fitted = x @ np.asarray(params[f"{stage}_projection"]["kernel"])[0, 0]
            if fields["shortcut"] == "sum":
                branch = fitted + branch
            elif fields["shortcut"] == "scaled":
                branch = (fitted + branch) / 2
            else:
                gate = params[f"{stage}_gate"]
                gate = x @ np.asarray(gate["kernel"])[0, 0] + np.asarray(gate["bias"])
                gate = 1 / (1 + np.exp(-gate))
                branch = (1 - gate) * fitted + gate * branch
            branch = norm(np.maximum(branch, 0), f"{stage}_norm{fields['depth']}", "after")
        if fields["shortcut"] == "concatenation":
            branch = np.concatenate([x, branch], axis=-1)
        reduce = {"max": np.max, "average": np.mean, "sum": np.sum}[fields.get("pooling", "max")]
        step = fields.get("pool_strides", fields.get("pool_size", 2))
        x = _pooled(branch, reduce, fields.get("pool_size", 2), step)
    row = x.mean(axis=(1, 2)) if fields.get("head") == "average" else x.reshape(len(x), -1)
    dense = params["classifier"]
    return row @ np.asarray(dense["kernel"], np.float64) + np.asarray(dense["bias"])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"norm_place": "after", "depth": 2, "pooling": "average"},
        {"shortcut": "sum", "depth": 2, "pooling": "sum", "head": "average"},
        {"shortcut": "scaled", "norm_place": "after", "pool_size": 3, "pool_strides": 1},
        {"shortcut": "gated", "padding_mode": "reflect"},
        {"shortcut": "concatenation", "kernel": (5, 3)},
        {"padding": "VALID", "pool_strides": 1},
    ],
    ids=str,
)
def test_the_network_is_what_its_fields_describe(fields):
    model = _net(**fields)
    variables = drawn(variables_of(model, SIZE))
    images = jax.random.normal(jax.random.key(1), (2, *SIZE))
    expected = _logits(variables, images, fields)
    found: Any = quickly(model.apply)(variables, images)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


# Values that together hold each choice of each field at least once.
FORMS: dict[str, dict[str, Any]] = {
    "local": {"filters": "local", "activation": "tanh", "norm": "none", "pooling": "none"},
    "separable": {
        "filters": "separable",
        "norm": "contrast",
        "norm_place": "after",
        "pooling": "stride",
    },
    "asymmetric": {
        "filters": "asymmetric",
        "activation": "scaled_tanh",
        "norm": "group",
        "pooling": "sum",
        "shortcut": "gated",
        "padding_mode": -1.0,
        "drop_path_rate": 0.3,
        "depth": (1, 2),
    },
    "response": {
        "norm": "response",
        "activation": "elu",
        "pooling": "average",
        "hidden": (7,),
        "dropout_rate": 0.4,
        "shortcut": "concatenation",
        "padding_mode": "circular",
        "pool_size": 3,
        "pool_strides": 2,
    },
    "scaled": {
        "shortcut": "scaled",
        "norm_place": "after",
        "head": "average",
        "padding_mode": "replicate",
    },
}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(form, id=name, marks=[pytest.mark.slow] if len(form) > 6 else [])
        for name, form in FORMS.items()
    ],
)
def test_a_training_step_reaches_every_parameter(fields):
    model = _net(**fields)
    variables = drawn(variables_of(model, SIZE))
    state = {k: v for k, v in variables.items() if k != "params"}
    images = jax.random.normal(jax.random.key(1), (6, *SIZE))

    def loss(params):
        logits, _ = model.apply(
            {"params": params, **state},
            images,
            train=True,
            rngs={"dropout": jax.random.key(2)},
            mutable=["batch_stats"],
        )
        return jax.nn.logsumexp(logits, axis=-1).mean() - logits[:, 0].mean()

    gradients = quickly(jax.grad(loss))(variables["params"])
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).max() > 1e-9, path


@pytest.mark.parametrize(
    ("fields", "parameters", "products"),
    [
        # Two stages on 8x9 with 3 channels: pools leave 4x4 and 2x2.
        ({"norm": "none"}, 9 * 3 * 4 + 4 + 9 * 4 * 6 + 6, 72 * 108 + 16 * 216),
        ({}, 9 * 3 * 4 + 2 * 4 + 9 * 4 * 6 + 2 * 6, 72 * 108 + 16 * 216),
        (
            {"norm": "none", "filters": "local"},
            72 * (9 * 3 * 4 + 4) + 16 * (9 * 4 * 6 + 6),
            72 * 108 + 16 * 216,
        ),
        (
            {"norm": "none", "filters": "separable", "kernel": (5, 3)},
            25 * 3 + 3 * 4 + 4 + 9 * 4 + 4 * 6 + 6,
            72 * (25 * 3 + 12) + 16 * (36 + 24),
        ),
        (
            {"norm": "none", "filters": "asymmetric", "kernel": 5},
            5 * 3 * 4 + 5 * 4 * 4 + 4 + 5 * 4 * 6 + 5 * 6 * 6 + 6,
            72 * (60 + 80) + 16 * (120 + 180),
        ),
        (
            {"norm": "none", "pooling": "stride"},
            9 * 3 * 4 + 4 + 9 * 4 * 6 + 6 + 4 * 4 * 4 + 4 + 4 * 6 * 6 + 6,
            72 * 108 + 16 * 216 + 16 * 64 + 4 * 144,
        ),
        (
            {"norm": "group", "shortcut": "gated"},
            108 + 8 + 216 + 12 + (12 + 4 + 12) + (24 + 6 + 24),
            72 * (108 + 24) + 16 * (216 + 48),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_parameters_and_products_are_those_of_the_parts(fields, parameters, products):
    model = _net(**fields)
    params = variables_of(model, SIZE)["params"]
    head = 2 * 2 * 6 * 5
    assert size(params) == parameters + head + 5
    assert multiply_adds(model, SIZE) == products + head


def test_drop_path_and_dropout_draw_in_training_alone():
    model = _net(shortcut="sum", drop_path_rate=0.5)
    variables = drawn(variables_of(model, SIZE))
    images = jnp.ones((32, *SIZE))

    def train(seed) -> Any:
        keys = {"dropout": jax.random.key(seed)}
        return model.apply(variables, images, train=True, rngs=keys, mutable=["batch_stats"])[0]

    first = np.asarray(quickly(train)(0))
    assert not np.array_equal(first, quickly(train)(1))
    # Equal images: two stages that are skipped or not give four rows at most.
    assert 2 <= len(np.unique(first.round(4), axis=0)) <= 4
    evaluated: Any = quickly(model.apply)(variables, images)
    np.testing.assert_array_equal(evaluated, np.broadcast_to(evaluated[:1], evaluated.shape))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filters": "dense"}, "filters must be one of .*'shared', 'local'.*got 'dense'"),
        ({"norm": "layer"}, "norm must be one of"),
        ({"norm_place": "during"}, "norm_place must be one of .'before', 'after'"),
        ({"pooling": "mean"}, "pooling must be one of .*'average'"),
        ({"padding": "REFLECT"}, "padding must be one of .'SAME', 'VALID'"),
        ({"padding_mode": "mirror"}, "padding_mode must be one of 'zeros'.*got 'mirror'"),
        ({"padding_mode": None}, "padding_mode must be one of"),
        ({"shortcut": "add"}, "shortcut must be one of .'none', 'sum'"),
        ({"head": "flatten"}, "head must be one of .'dense', 'average'"),
        ({"activation": "rellu"}, "unknown activation 'rellu'; did you mean relu"),
        ({"widths": ()}, "widths must be a tuple of ints, one for each stage"),
        ({"widths": 16}, "widths must be a tuple of ints"),
        ({"widths": (16, 0)}, "each entry of widths must be an int of at least 1"),
        ({"depth": (1, 2, 3)}, "depth must be one number, or one for each of the 2 stages"),
        ({"kernel": 2.5}, "kernel must be an int of at least 1, got 2.5"),
        ({"hidden": 84}, "hidden must be a tuple of ints, one for each dense layer, got 84"),
        ({"kernel": None}, "kernel must be an int, or a tuple with one for each stage, got None"),
        ({"widths": ((1, 2), 3)}, "widths must be a tuple of ints"),
        ({"pool_size": (2, 2)}, "pool_size must be an int, which counts for rows and columns"),
        ({"dropout_rate": 2}, "dropout_rate must be a number from 0 to 1"),
        ({"drop_path_rate": 0.2}, "needs a shortcut around the branch .* set shortcut='sum'"),
        ({"drop_path_rate": 0.2, "shortcut": "concatenation"}, "shortcut is 'concatenation'"),
        ({"drop_path_rate": 1.0, "shortcut": "sum"}, "drop_path_rate must be less than 1"),
        ({"padding": "VALID", "shortcut": "sum"}, "shortcut='sum' needs branches of the input's"),
        ({"padding": "VALID", "padding_mode": "reflect"}, "padding_mode='reflect' has no pixels"),
        ({"norm": "none", "norm_place": "after"}, "norm_place='after' places a normalization, but"),
        ({"pooling": "none", "pool_strides": 2}, "pool_strides=2 belongs to a pool"),
        ({"pool_strides": 3}, "pool_strides=3 leaves out pixels between windows of pool_size=2"),
        ({"filters": "asymmetric", "kernel": (3, 1)}, "cuts an n x n kernel into 1xn and nx1"),
    ],
    ids=str,
)
def test_choices_without_meaning_are_refused_by_name(fields, message):
    with pytest.raises(ValueError, match=message):
        _net(**fields)


def test_unshared_weights_fit_one_image_size():
    model = _net(filters="local", head="average")
    variables = drawn(variables_of(model, SIZE))
    with pytest.raises(ValueError, match=r"stage1_conv1.*images of 9x9 need"):
        model.apply(variables, jnp.ones((1, 9, 9, 3)))


def test_a_configuration_chooses_parts_by_name():
    overrides = {"pooling": "sum", "widths": [8, 8], "filters": "separable"}
    config = RunConfig(model={"name": "simple_cnn", "overrides": overrides})  # pyright: ignore
    model: Any = make_network(config, 10)
    assert (model.pooling, model.widths, model.filters) == ("sum", (8, 8), "separable")
