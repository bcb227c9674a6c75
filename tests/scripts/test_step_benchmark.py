"""The benchmark of whole steps: its baselines compute the same, and one small run works."""

import argparse
import json

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.models.alexnet import ConvRow
from scripts.benchmarks import step_profile, steps, steps_report
from scripts.benchmarks.plain_flax import plain_layers, without_dropout
from scripts.benchmarks.whole_nets import NETS, WholeNet

TINY = WholeNet("LeNet-5", "lenet5", 4, (16, 16, 1))


@pytest.fixture(autouse=True)
def standard_promotion():
    """flax's batch norm and optax mix dtypes in their own arithmetic."""
    with jax.numpy_dtype_promotion("standard"):
        yield


ROWS = (
    ConvRow(8, 11, stride=4, norm=True, pool=True),
    ConvRow(8, 5, padding=2, grouped=True, norm=True, pool=True),
)


@pytest.mark.parametrize(
    ("name", "size", "settings"),
    [
        ("alexnet", 67, {"hidden": (8, 8), "rows": ROWS}),
        ("resnet18", 48, {"blocks": (1, 1), "widths": (4, 8), "num_classes": 3}),
    ],
)
def test_flax_layers_give_our_logits_and_statistics(name, size, settings):
    model = models.create_model(name, **settings)
    x = jax.random.normal(jax.random.key(1), (4, size, size, 3))
    variables = model.init(jax.random.key(0), x)

    def run(*interceptors):
        with linen.intercept_methods(without_dropout):
            if not interceptors:
                return model.apply(variables, x, train=True, mutable=["batch_stats"])
            with linen.intercept_methods(*interceptors):
                return model.apply(variables, x, train=True, mutable=["batch_stats"])

    ours, theirs = run(), run(plain_layers)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), ours, theirs)


def test_plain_layers_are_flax_s_own_program():
    model = models.create_model("resnet8_cifar", backward="native")
    x = jnp.ones((2, 8, 8, 3))
    variables = model.init(jax.random.key(0), x)

    def apply(variables, x):
        with linen.intercept_methods(plain_layers):
            return model.apply(variables, x, train=False)

    text = str(jax.make_jaxpr(apply)(variables, x))
    assert "conv_general_dilated" in text and "custom_vjp" not in text


def test_networks_have_distinct_labels_and_their_heads_exist():
    assert len({net.label for net in NETS}) == len(NETS) == 11
    for net in NETS:
        model = models.create_model(net.model, **net.overrides)
        for head in net.auxiliary:
            assert any(path.startswith(head) for path in model.classifiers)


def test_one_network_from_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(steps, "NETS", (TINY,))
    out = tmp_path / "steps"
    steps.main(["--no_torch", "--repeats", "2", "--profile", "--out", str(out)])
    row = json.loads(out.with_suffix(".json").read_text())["rows"][0]
    assert set(row["ms"]) == {"ours", "native", "native, option", "flax"}
    assert min(row["ms"].values()) > 0 and len(row["losses"]) == steps.STEPS
    page = out.with_suffix(".md").read_text()
    assert "LeNet-5, 4" in page and "| c3/conv2d |" in page
    assert out.with_suffix(".png").stat().st_size > 10_000
    assert "ours" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"no network matches --only='VGG'; there are LeNet-5"):
        steps.main(["--only", "VGG"])


def test_a_network_whose_losses_differ_is_not_measured(monkeypatch, capsys):
    class Way:
        temp_mb = compile_seconds = program = None

        def __init__(self, loss):
            self.step = lambda: loss

    monkeypatch.setattr(steps, "contestants", lambda *_: {"ours": Way(1.0), "native": Way(1.1)})
    flags = argparse.Namespace(columns="ours|native", repeats=1, seconds=1.0, profile=False)
    assert steps.measure(TINY, flags, with_torch=False) is None
    assert "the losses of native differ" in capsys.readouterr().out


def test_ratios_take_the_strongest_baseline_of_each_row():
    rows = [
        {"net": "a", "ms": {"ours": 2.0, "native": 8.0, "native, option": 4.0, "flax": 6.0}},
        {"net": "b", "ms": {"ours": 1.0, "native": 2.0, "flax": 3.0, "torch": 0.5}},
    ]
    assert steps_report.ratios(rows, "best") == [2.0, 2.0]
    assert steps_report.ratios(rows, "flax") == [3.0, 3.0]
    assert steps_report.ratios(rows, "torch") == [0.5]


def test_operations_are_named_by_layer_and_pass():
    program = """
%fused (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  ROOT %add.1 = f32[2]{0} add(%p, %p), metadata={op_name="jit(f)/jvp(Net)/conv1/add"}
}

ENTRY %main (x: f32[2]) -> f32[2] {
  %x = f32[2]{0} parameter(0)
  %fusion.1 = f32[2]{0} fusion(%x), kind=kLoop, calls=%fused
  ROOT %dot.2 = f32[2]{0} dot(%x, %x), metadata={op_name="jit(f)/transpose(jvp(Net))/fc/dot"}
}
"""
    names = step_profile.operation_names(program)
    assert step_profile.describe(names["fusion.1"]) == ("conv1", "forward", "add")
    assert step_profile.describe(names["dot.2"]) == ("fc", "backward", "dot")
    assert step_profile.describe("") == ("(no name)", "", "")
