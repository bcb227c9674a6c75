"""The benchmark of formulations: its arrays, its choice of formulations, and one small run."""

import json

import numpy as np
import pytest

from scripts.benchmarks import choices, formulations
from scripts.benchmarks.cases.layers import Conv
from scripts.benchmarks.formulations import ConvPass

DEPTHWISE = Conv("net", 2, 8, 4, 4, 3, 2, 1, 4)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("forward", ((2, 8, 8, 4), (3, 3, 1, 4))),
        ("input_grad", ((2, 4, 4, 4), (3, 3, 1, 4))),
        ("kernel_grad", ((2, 8, 8, 4), (2, 4, 4, 4))),
    ],
)
def test_a_pass_takes_arrays_of_its_shapes_in_its_dtype(name, shapes):
    each = ConvPass(DEPTHWISE, name, "bfloat16")
    arrays = each.arrays()
    assert tuple(array.shape for array in arrays) == shapes
    assert {array.dtype.name for array in arrays} == {"bfloat16"}
    assert abs(np.asarray(arrays[0], np.float32).std() - 1) < 0.2


def test_formulations_are_those_that_take_the_layer():
    found = ConvPass(DEPTHWISE, "kernel_grad", "float32").functions(["im2col"])
    assert {"lax", "direct", "shift_add", "block_diagonal"} <= set(found)
    assert not {"im2col", "matmul"} & set(found)


def test_calls_in_a_row_wait_once():
    called, waited = [], []

    def call():
        called.append(len(called))
        return called[-1]

    formulations.in_a_row(call, waited.append, 3)()
    assert called == [0, 1, 2] and waited == [2]


def test_the_error_is_relative_to_the_norm_and_of_the_first_images():
    exact = np.array([[3.0, 4.0]])
    assert formulations.relative_error(np.array([[3.0, 4.5], [9.0, 9.0]]), exact) == 0.1


def test_one_layer_from_end_to_end(tmp_path, capsys):
    out = tmp_path / "choices"
    arguments = "--only ^lenet5.5x5x16 --dtype bfloat16 --batch 2 --repeats 1 --leave_out fft --out"
    choices.main([*arguments.split(), str(out)])
    report = json.loads(out.with_suffix(".json").read_text())
    assert [row["pass"] for row in report["rows"]] == ["forward", "input_grad", "kernel_grad"]
    for row in report["rows"]:
        assert row["batch"] == 2 and min(row["ms"].values()) > 0
        assert row["chosen"] and set(row["chosen"]) <= set(row["ms"])
    assert report["command"].endswith("--dtype bfloat16 --batch 2")
    assert "matmul*" in capsys.readouterr().out
    assert "Batches of 2, bfloat16." in out.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "no such layer"], "no convolution matches --only='no such layer'"),
        (["--leave_out", "im2col,ftt"], "--leave_out: ftt: there are direct, im2col, fft"),
        (["--calls", "0"], "--calls and --repeats 1 or more"),
    ],
)
def test_wrong_flags_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        choices.main(arguments)
    assert message in f"{stopped.value} {capsys.readouterr().err}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["forward", "input_grad", "kernel_grad"])
def test_pytorch_s_form_of_a_pass_is_ours(name):
    pytest.importorskip("torch")
    each = ConvPass(DEPTHWISE, name, "float32")
    arrays = each.arrays()
    call, wait = formulations.torch_pass(each, arrays, "float64")
    exact = formulations.as_numpy(each, wait(call()))
    for function, _ in each.functions([]).values():
        assert formulations.relative_error(function(*arrays), exact) < 1e-5
    call, wait = formulations.torch_pass(each, arrays)
    found = formulations.as_numpy(each, wait(call()))
    assert formulations.relative_error(found, exact) < 1e-5
