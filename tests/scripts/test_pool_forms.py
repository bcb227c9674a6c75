"""The benchmark of pooling's forms: its programs, and one small run."""

import json

import numpy as np
import pytest

from scripts.benchmarks import pool_forms
from scripts.benchmarks.cases.layers import Pool


@pytest.mark.parametrize(("kind", "forms"), [("max", 3), ("avg", 2)])
def test_all_forms_give_the_defining_maxima_and_sums_and_their_gradients(kind, forms):
    layer = Pool("net", kind, 2, 5, 3, 3, 2, 1)
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal((2, size, size, 3)) for size in (5, 3))
    y, input_grad = _by_loops(x, grad, kind)
    found = pool_forms.lower_forms(layer, "float32")
    assert len(found) == forms
    for lowered in found.values():
        program = lowered.compile()
        for got, wanted in zip(program(*map(np.float32, (x, grad))), (y, input_grad), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def _by_loops(x, grad, kind):
    """Returns y and dL/dx of a pooling by 3 x 3 windows, two apart, padded by one, in float64."""
    padded = np.pad(
        x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=[-np.inf, 0][kind == "avg"]
    )
    y, back = np.zeros_like(grad), np.zeros_like(padded)
    for n, i, j, c in np.ndindex(*grad.shape):
        rows, columns = slice(2 * i, 2 * i + 3), slice(2 * j, 2 * j + 3)
        window = padded[n, rows, columns, c]
        if kind == "avg":
            y[n, i, j, c] = window.sum() / 9
            back[n, rows, columns, c] += grad[n, i, j, c] / 9
        else:
            y[n, i, j, c] = window.max()
            back[n, rows, columns, c] += grad[n, i, j, c] * (window == window.max())
    return y, back[:, 1:-1, 1:-1]


def test_one_layer_from_end_to_end(tmp_path, capsys):
    out = tmp_path / "forms.json"
    arguments = "--only ^lenet5.10x10x16.max --dtype bfloat16 --batch 2 --repeats 1 --out"
    pool_forms.main([*arguments.split(), str(out)])
    report = json.loads(out.read_text())
    (row,) = report["rows"]
    assert row["batch"] == 2 and set(row["ms"]) == {"lax", "own", "own, fused"}
    assert min(row["ms"].values()) > 0 and max(row["differences"].values()) == 0
    assert "lenet5 10x10x16 max 2x2/2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only=nothing"], "no pooling matches --only='nothing'"),
        (["--calls=0"], "give 1 or more"),
    ],
)
def test_wrong_flags_end_the_program_before_any_work(arguments, message):
    with pytest.raises(SystemExit, match=message):
        pool_forms.main(arguments)
