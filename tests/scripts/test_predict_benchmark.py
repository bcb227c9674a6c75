"""The benchmark of predictions: all ways give the same logits, and a small run writes its page."""

import json

import pytest

from scripts.benchmarks import predict

ROW = {
    "net": "LeNet-5",
    "batch": 8,
    "ms": {"ours": 2.0, "folded": 1.0, "flax": 4.0, "torch": 4.0},
    "quartiles_ms": {name: [1.0, 5.0] for name in ("ours", "folded", "flax", "torch")},
}


def test_means_are_geometric_and_by_batch():
    twice = {**ROW, "net": "AlexNet", "ms": {"ours": 1.0, "folded": 2.0, "flax": 4.0}}
    other = {**ROW, "batch": 1, "ms": {"ours": 1.0}}
    lines = predict.summary([ROW, twice, other]).splitlines()
    assert lines[2:] == ["| 1 |  |  |  |  |", "| 8 | 2.83 |  | 1.00 | 0.50 |"]


def test_the_page_has_a_line_for_each_row():
    report = {"command": "predict", "machine": "M", "dtype": "float32", "notes": "", "rows": [ROW]}
    assert "| LeNet-5, 8 | 2.00 (1.00 to 5.00) | 1.00 (1.00 to 5.00) |" in predict.markdown(report)


def test_an_unknown_network_is_refused_with_the_known_ones():
    with pytest.raises(SystemExit, match="LeNet-5"):
        predict.main(["--only=LeNet-6", "--no_torch"])


@pytest.mark.slow
def test_a_small_run_writes_its_rows(tmp_path):
    out = tmp_path / "predict"
    flags = ["--only=^LeNet", "--batches=2", "--repeats=1", "--no_torch", f"--out={out}"]
    predict.main(flags)
    rows = json.loads(out.with_suffix(".json").read_text())["rows"]
    assert [(row["net"], row["batch"]) for row in rows] == [("LeNet-5", 2)]
    assert rows[0]["ms"].keys() == {"ours", "folded", "native", "flax"}
