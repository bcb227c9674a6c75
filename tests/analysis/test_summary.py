import csv
import io
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest

from cnnjax import models
from cnnjax.analysis import format_summary, multiply_adds, side_by_side, summarize
from cnnjax.analysis.cost.summary_command import main
from tests.analysis.nets import PlainNet


class FlaxStyleResNet(linen.Module):
    """In the manner of flax's own ImageNet example."""

    @linen.compact
    def __call__(self, x, train: bool = True):
        def norm(name):
            return linen.BatchNorm(use_running_average=not train, name=name)

        x = linen.Conv(8, (7, 7), (2, 2), padding=[(3, 3), (3, 3)], use_bias=False)(x)
        x = linen.relu(norm("bn_init")(x))
        x = linen.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        for width, stride in ((8, 1), (16, 2)):
            shortcut = x
            y = linen.Conv(width, (3, 3), (stride, stride), use_bias=False)(x)
            y = linen.relu(norm(f"bn1_{width}")(y))
            y = linen.Conv(width, (3, 3), use_bias=False)(y)
            y = norm(f"bn2_{width}")(y)
            if shortcut.shape != y.shape:
                shortcut = linen.Conv(width, (1, 1), (stride, stride), use_bias=False)(shortcut)
            x = linen.relu(y + shortcut)
        x = jnp.mean(x, axis=(1, 2))
        return linen.Dense(10)(x)


def test_vgg16_is_the_lecture_table():
    summary = summarize(models.create_model("vgg16"), (224, 224, 3))
    assert summary.parameters == 138_357_544
    assert summary.multiply_adds == 15_470_264_320
    # CS231n's column of values per image: 150K, 3.2M x2, 800K, ... 4096, 4096, 1000.
    assert summary.values == 15_237_608
    assert summary.bytes_forward == 4 * 15_237_608
    values = [row.values for row in summary.rows]
    assert values[:4] == [150_528, 3_211_264, 3_211_264, 802_816]
    assert values[-3:] == [4096, 4096, 1000]


@pytest.mark.parametrize(
    ("name", "parameters", "products"),
    [
        ("lenet5", 61_706, 416_520),
        # C3 has 60 of 96 connections: 60·25·100 products.
        ("lenet5_1998", 60_000, 416_520 - 240_000 + 150_000 - 840),
        ("resnet18", 11_689_512, 1_814_073_344),
    ],
)
def test_totals_are_the_published_ones(name, parameters, products):
    size = models.model_info(name).input_size
    model = models.create_model(name)
    summary = summarize(model, size)
    assert (summary.parameters, summary.multiply_adds) == (parameters, products)
    assert multiply_adds(model, size) == products


def test_models_written_with_flax_alone():
    summary = summarize(FlaxStyleResNet(), (32, 32, 3))
    rows = {row.name: row for row in summary.rows}
    assert rows["max_pool"].shape == (8, 8, 8) and rows["max_pool"].field == (11, 11)
    assert rows["add#2"].shape == (4, 4, 16)
    assert rows["global_avg_pool"].shape == (16,)
    assert rows["Conv_0"].multiply_adds == 16 * 16 * 8 * 7 * 7 * 3
    expected = 7 * 7 * 3 * 8 + 2 * 9 * 64 + 9 * 128 + 9 * 256 + 128 + 2 * (3 * 8 + 2 * 16) + 170
    assert summary.parameters == expected


def test_a_block_is_found_by_its_last_row():
    summary = summarize(models.create_model("resnet18"), (64, 64, 3), kept=False)
    assert summary.row("conv1").field == (7, 7)
    block = summary.row("stage1_block2")
    assert (block.kind, block.shape) == ("add", (16, 16, 64))
    # 11 after the pool, and four times 3x3 at a stride of 4.
    assert block.field == (43, 43)
    with pytest.raises(KeyError, match=r"no row of ResNet is named 'conv11'; did you mean conv1"):
        summary.row("conv11")


def test_a_layer_called_twice_costs_twice_and_owns_its_parameters_once():
    summary = summarize(PlainNet(), (8, 8, 3))
    rows = {row.name: row for row in summary.rows}
    first, second = rows["shared/Conv_0"], rows["shared/Conv_0#2"]
    assert first.parameters == 9 * 16 + 4 and second.parameters == 0
    assert first.multiply_adds == second.multiply_adds == 4 * 4 * 4 * 9 * 4


def test_products_outside_of_layers_and_own_parameters_are_seen():
    class Functional(linen.Module):
        @linen.compact
        def __call__(self, x):
            scale = self.param("scale", linen.initializers.ones, (3,))
            kernel = self.param("kernel", linen.initializers.ones, (3, 3, 3, 5))
            x = jax.lax.conv_general_dilated(
                x * scale.reshape(1, 1, 1, 3),
                kernel,
                (2, 2),
                "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            x = linen.relu(linen.Conv(5, (1, 1))(x)).reshape(x.shape[0], 16, 5)
            return jnp.einsum("bij,bkj->bik", x, x)

    summary = summarize(Functional(), (8, 8, 3))
    costs = {row.kind: row.multiply_adds for row in summary.rows}
    assert costs["conv2d"] == 16 * 27 * 5
    assert costs["matmul"] == 16 * 16 * 5
    assert summary.parameters == 3 + 135 + 30


def test_loops_count_every_turn():
    class Body(linen.Module):
        @linen.compact
        def __call__(self, x, _):
            return linen.Conv(4, (3, 3))(x), None

    class Loop(linen.Module):
        @linen.compact
        def __call__(self, x):
            loop = linen.scan(
                Body, variable_axes={"params": 0}, split_rngs={"params": True}, length=5
            )
            return loop()(x, None)[0]

    summary = summarize(Loop(), (16, 16, 4))
    assert summary.multiply_adds == 5 * 16 * 16 * 4 * 36
    assert summary.parameters == 5 * (36 * 4 + 4)
    assert summary.rows[-1].field == (11, 11)


def test_kept_bytes_are_what_the_backward_rule_needs():
    class Three(linen.Module):
        @linen.compact
        def __call__(self, x):
            for width in (16, 32, 8):
                x = linen.Dense(width)(x)
            return x

    summary = summarize(Three(), (64,))
    # The gradient of a kernel needs the layer's input and nothing else.
    assert [row.bytes_kept for row in summary.rows] == [4 * 64, 4 * 16, 4 * 32, 0]


def test_parameters_that_evaluation_does_not_use_are_counted_apart():
    class WithAuxiliary(linen.Module):
        @linen.compact
        def __call__(self, x, train=False):
            if train or self.is_initializing():
                linen.Dense(7, name="auxiliary")(x)
            return linen.Dense(2, name="head")(x)

    summary = summarize(WithAuxiliary(), (3,))
    assert (summary.parameters, summary.other_parameters) == (8, 28)


def test_xla_counts_without_padding():
    model = linen.Conv(4, (3, 3), use_bias=False)
    summary = summarize(model, (8, 8, 2), xla=True)
    # Of 9 taps an edge pixel meets 6 and a corner 4: 36·9 + 24·6 + 4·4 of 64·9.
    assert summary.multiply_adds == 64 * 9 * 8
    assert summary.xla_multiply_adds == (36 * 9 + 24 * 6 + 4 * 4) * 8


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="without the batch"):
        summarize(PlainNet(), (8, 0, 3))
    shapes: list[Any] = [(), (8, 8), (1, 8, 8, 3), (8.0, 8, 3)]
    for shape in shapes:
        with pytest.raises(ValueError, match="three positive integers"):
            summarize(PlainNet(), shape)


def test_every_form_holds_every_layer():
    summary = summarize(PlainNet(), (8, 8, 3))
    for form in ("table", "markdown", "html", "csv"):
        text = format_summary(summary, form)
        assert all(row.name in text for row in summary.rows)
    rows = list(csv.DictReader(io.StringIO(format_summary(summary, "csv"))))
    assert sum(int(row["parameters"]) for row in rows) == summary.parameters
    both = side_by_side(summary, summarize(FlaxStyleResNet(), (32, 32, 3)), "csv")
    assert len({line.count(",") for line in both.splitlines()}) == 1
    with pytest.raises(ValueError, match="'pdf' is not known"):
        format_summary(summary, "pdf")


def test_command_prints_one_two_and_refuses_the_unknown(capsys):
    assert main(["lenet5"]) == 0
    assert "61,706 parameters" in capsys.readouterr().out
    assert main(["lenet5", "--compare", "lenet5_1998", "--format", "markdown"]) == 0
    assert "lenet5_1998: 60,000 parameters" in capsys.readouterr().out
    assert main(["lenet55"]) == 2
    assert "did you mean lenet5" in capsys.readouterr().err
    assert main(["lenet5", "--input_size", "8,8,1"]) == 2
    assert "error:" in capsys.readouterr().err
    assert main([]) == 2
    with pytest.raises(SystemExit):
        main(["lenet5", "--input_size", "32,32"])
    assert "height, width and channels" in capsys.readouterr().err


def test_weights_are_counted_without_biases():
    vgg = models.create_model("vgg16")
    weights = summarize(vgg, (224, 224, 3), kept=False, biases=False)
    # The lecture's figure, and the biases of 13 convolutions and three dense layers.
    assert weights.parameters == 138_344_128
    channels = 64 * 2 + 128 * 2 + 256 * 3 + 512 * 6
    assert 138_357_544 - weights.parameters == channels + 2 * 4096 + 1000
    assert weights.row("conv1_1").parameters == 9 * 3 * 64
    normed = models.create_model("resnet8_cifar")
    counts = [summarize(normed, (32, 32, 3), kept=False, biases=b) for b in (True, False)]
    # The last layer's biases, and the shifts of seven batch norms.
    shifts = 16 * 3 + 32 * 2 + 64 * 2
    assert counts[0].parameters - counts[1].parameters == 10 + shifts
    assert "without biases" in str(counts[1]) and "without biases" not in str(counts[0])


def test_biases_of_single_units_are_left_out_too():
    # Its convolutions have one bias for each unit, in layers of their own.
    net = models.create_model("lenet_1989")
    counts = [summarize(net, (16, 16, 1), kept=False, biases=b).parameters for b in (True, False)]
    assert counts[0] == 9_760
    assert counts[0] - counts[1] == 768 + 192 + 30 + 10


def test_the_command_leaves_biases_out(capsys):
    assert main(["lenet5", "--without_biases"]) == 0
    # 150 + 2,400 + 48,000 + 10,080 + 840 weights.
    assert "61,470 parameters without biases" in capsys.readouterr().out
    assert main(["lenet5", "--without_biases", "--format", "csv"]) == 0
    assert "parameters without biases" in capsys.readouterr().out.splitlines()[0]


def test_xlas_own_count_is_printed_in_every_form(capsys, monkeypatch):
    assert main(["lenet5", "--xla", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("layer,") and out.splitlines()[-1].startswith("classif")
    count = int(err.split()[1].replace(",", ""))
    # Nearly all operations of LeNet-5 without padding are those of its convolutions and layers.
    assert 416_520 <= count < 1.5 * 416_520
    monkeypatch.setattr(models, "list_models", lambda: ["lenet5"])
    for options, shown in (([], False), (["--xla"], True)):
        assert main(["--all", "--format", "csv", *options]) == 0
        (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert row["multiply-adds"] == "416520"
        assert row.get("multiply-adds by XLA") == (str(count) if shown else None)


@pytest.mark.slow
def test_all_registered_networks_are_summarized(capsys):
    assert main(["--all", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["network"] for row in rows] == models.list_models()
    for row in rows:
        if row["reference parameters"]:
            assert row["parameters"] == row["reference parameters"], row["network"]
    printed = {row["network"]: row["published parameters"] for row in rows}
    assert (printed["fractalnet20"], printed["lenet5"]) == ("38.6 M", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the name of a network, or --all"),
        (["lenet5", "--all"], "give the name of a network, or --all"),
        (["--all", "--compare", "lenet5"], "--all takes each network as published"),
        (["--all", "--without_biases"], "--all takes each network as published"),
        (["lenet5", "--variant", "nowhere"], "nowhere"),
    ],
)
def test_options_that_do_not_fit_are_refused(capsys, arguments, message):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and message in err


@pytest.mark.parametrize("size", ["0,8,8", "a,b,c", "8,8,8,8", ""])
def test_sizes_that_are_no_images_are_refused(capsys, size):
    with pytest.raises(SystemExit):
        main(["lenet5", f"--input_size={size}"])
    assert "must be height, width and channels" in capsys.readouterr().err
