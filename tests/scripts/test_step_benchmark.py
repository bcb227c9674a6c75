"""The benchmark of whole steps: its baselines compute the same, and one small run works."""

import argparse
import contextlib
import json
import sys

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.analysis import multiply_adds
from cnnjax.models.alexnet import ConvRow
from scripts.benchmarks import (
    alone,
    step_contestants,
    step_profile,
    steps,
    steps_report,
    throughput,
)
from scripts.benchmarks.cases import random_nets
from scripts.benchmarks.cases.whole_nets import NETS, WholeNet
from scripts.benchmarks.peaks import peak_flops
from scripts.benchmarks.plain_flax import plain_layers, without_dropout
from scripts.benchmarks.step_contestants import COLUMNS, default_columns
from tests.helpers.fixtures import standard_promotion  # noqa: F401
from tests.helpers.programs import quickly

TINY = WholeNet("LeNet-5", "lenet5", 4, (16, 16, 1))


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
    variables = quickly(model.init)(jax.random.key(0), x)

    def run(*interceptors):
        @quickly
        def apply(variables):
            with contextlib.ExitStack() as stack:
                for interceptor in (without_dropout, *interceptors):
                    stack.enter_context(linen.intercept_methods(interceptor))
                return model.apply(variables, x, train=True, mutable=["batch_stats"])

        return apply(variables)

    ours, theirs = run(), run(plain_layers)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), ours, theirs)


def test_plain_layers_are_flax_s_own_program():
    model = models.create_model("resnet8_cifar", backward="native")
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)

    def apply(variables, x):
        with linen.intercept_methods(plain_layers):
            return model.apply(variables, x, train=False)

    text = str(jax.make_jaxpr(apply)(variables, x))
    assert "conv_general_dilated" in text and "custom_vjp" not in text


def test_networks_have_distinct_labels_and_their_heads_exist():
    assert len({net.label for net in NETS}) == len(NETS) == 12
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


@pytest.mark.slow
def test_ways_in_processes_of_their_own_have_the_same_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "NETS", (TINY,))
    monkeypatch.setattr("scripts.benchmarks.alone.TURN", 0.0)
    out = tmp_path / "steps"
    arguments = "--no_torch --repeats 2 --alone --columns ours|flax|torch --out"
    steps.main([*arguments.split(), str(out)])
    report = json.loads(out.with_suffix(".json").read_text())
    row = report["rows"][0]
    assert row["ms"].keys() == row["compile_s"].keys() == {"ours", "flax"}
    assert report["alone"] and "--alone" in report["command"] and row["rounds"] == 2
    with pytest.raises(SystemExit, match="leave out --alone"):
        steps.main(["--alone", "--profile"])


@pytest.mark.slow
def test_drawn_networks_follow_from_the_seed_and_have_the_cost_asked_for():
    drawn = random_nets.draw(0, len(random_nets.FAMILIES))
    assert drawn == random_nets.draw(0, len(random_nets.FAMILIES))
    assert len({net.label for net in drawn}) == len(drawn)
    for net in drawn:
        cost = net.batch * multiply_adds(models.create_model(net.model, **net.overrides), net.image)
        # The batch is rounded to the nearest of few, and one image may cost more than all.
        assert net.batch in (1, max(random_nets.BATCHES)) or 1.4e9 < cost < 34e9


@pytest.mark.process
def test_a_process_that_dies_is_named_with_its_exit_code():
    with pytest.raises(RuntimeError, match="ended with exit code 3"):
        alone.Process(sys.exit, 3)


def test_a_network_whose_losses_differ_is_not_measured(monkeypatch, capsys):
    class Way:
        temp_mb = compile_seconds = program = None

        def __init__(self, loss):
            self.step = lambda: loss

    monkeypatch.setattr(steps, "contestants", lambda *_: {"ours": Way(1.0), "native": Way(1.1)})
    flags = argparse.Namespace(
        columns="ours|native",
        repeats=1,
        seconds=1.0,
        profile=False,
        dtype="float32",
        no_tf32=False,
        alone=False,
    )
    assert steps.measure(TINY, flags, with_torch=False) is None
    assert "the losses of native differ" in capsys.readouterr().out


@pytest.mark.slow
def test_half_precision_has_its_own_tolerance_and_keeps_float32_parameters(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "NETS", (TINY,))
    seen = []
    contestants = steps.contestants

    def recorded(*arguments):
        seen.append(contestants(*arguments))
        return seen[-1]

    monkeypatch.setattr(steps, "contestants", recorded)
    out = tmp_path / "steps"
    arguments = "--no_torch --repeats 1 --dtype bfloat16 --batch 2 --columns ours|flax --out"
    steps.main([*arguments.split(), str(out)])
    report = json.loads(out.with_suffix(".json").read_text())
    assert report["arithmetic"] == "bfloat16" and report["command"].endswith("bfloat16 --batch 2")
    assert set(report["rows"][0]["ms"]) == {"ours", "flax"} and report["rows"][0]["batch"] == 2
    assert "bfloat16 with float32 parameters" in out.with_suffix(".md").read_text()
    for way in seen[0].values():
        assert "bf16[" in way.program.as_text()
        given = jax.tree.leaves(way.program.in_avals)
        assert {array.dtype.name for array in given} == {"float32", "int32"}
    with pytest.raises(SystemExit, match="were computed in bfloat16, these are in float32"):
        steps.main(["--no_torch", "--merge", "--out", str(out)])


def test_accelerators_compare_compiled_pytorch_in_place_of_the_cpu_s_option():
    assert default_columns("cpu") == ("ours", "native", "native, option", "flax", "torch")
    assert default_columns("gpu") == ("ours", "native", "flax", "torch", "torch compiled")
    assert set(default_columns("gpu")) < set(COLUMNS)


def test_compiled_pytorch_s_first_step_is_its_compilation():
    losses = iter([3.0, 2.0])
    way = step_contestants._compiled_at_first(lambda: next(losses))
    assert way.compile_seconds is None
    assert [way.step(), way.step()] == [3.0, 2.0]
    assert way.compile_seconds is not None and way.compile_seconds >= 0


def test_a_column_of_compiled_pytorch_is_shown_where_it_was_timed():
    ms = {"ours": 2.0, "native": 4.0, "flax": 5.0, "torch": 3.0, "torch compiled": 1.0}
    row = {
        "net": "a",
        "batch": 8,
        "ms": ms,
        "quartiles_ms": {name: [value, value] for name, value in ms.items()},
        "temp_mb": {"ours": 1.0, "native": 2.0},
        "compile_s": {"ours": 1.0, "native": 1.0, "torch compiled": 9.0},
    }
    page = steps_report.markdown(
        {"command": "x", "machine": "a GPU", "arithmetic": "tf32", "rows": [row]}
    )
    assert "| all (1) | 2.50 | 2.00 | 2.00 | 0.67 | 2.00 |" in page
    assert "| network, batch | ours | native | flax | torch | torch compiled | images/s |" in page
    assert "products in TF32" in page
    assert "| 1, 2, - | 1, 1 |" in page


def test_throughput_counts_images_and_products(tmp_path):
    out = tmp_path / "throughput.json"
    arguments = (
        "--model lenet5 --size 16 --channels 1 --batch 4 --dtype bfloat16 --steps 2 --rounds 2"
    )
    throughput.main([*arguments.split(), "--out", str(out)])
    found = json.loads(out.read_text())
    seconds = 4 / found["images/s"]
    assert found["ms a step"] == pytest.approx(1e3 * seconds, rel=0.01)
    # 5x5 to 12x12 pixels, pooled to 6x6, 5x5 to 2x2, pooled to one pixel; then dense layers.
    forward = 144 * 25 * 6 + 4 * 150 * 16 + 16 * 120 + 120 * 84 + 84 * 10
    assert found["multiply-adds/s"] * seconds == pytest.approx(3 * 4 * forward, rel=0.01)
    assert found["compile s"] >= 0 and found["peak memory MB, compiler"] > 0
    assert "share of peak" not in found
    with pytest.raises(SystemExit, match=r"--model: .*lenet5"):
        throughput.main(["--model", "lenet55"])


def test_peaks_are_those_of_the_longest_known_name():
    assert peak_flops("NVIDIA A100-SXM4-80GB", "bfloat16") == 312e12
    assert peak_flops("NVIDIA H100 PCIe", "bfloat16") == 756e12
    assert peak_flops("NVIDIA H200", "tf32") == 494.7e12
    assert peak_flops("cpu", "float32") is None


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
  %copy.7 = f32[2]{0} copy(%fusion.1)
  ROOT %dot.2 = f32[2]{0} dot(%x, %x), metadata={op_name="jit(f)/transpose(jvp(Net))/fc/dot"}
}
"""
    names = step_profile.operation_names(program)
    assert step_profile.describe(names["fusion.1"]) == ("conv1", "forward", "add")
    assert step_profile.describe(names["dot.2"]) == ("fc", "backward", "dot")
    assert step_profile.describe(names["copy.7"]) == ("conv1", "forward", "copy")
    assert step_profile.describe("", "copy.12") == ("(compiler's own)", "", "copy")


def test_what_runs_at_once_shares_its_time():
    spans = [("a", 0, 10), ("b", 4, 12), ("c", 4, 6), ("a", 20, 21), ("c", 15, 15)]
    spent = step_profile.shared_time(step_profile.Span(*span) for span in spans)
    # a alone for 4, a third of 2, half of 4, and its second run.
    assert spent == pytest.approx({"a": 4 + 2 / 3 + 2 + 1, "b": 2 / 3 + 2 + 2, "c": 2 / 3})
