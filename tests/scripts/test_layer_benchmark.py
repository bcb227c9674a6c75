"""The layer benchmark: its data, its statistics, and one small run from end to end."""

import json

import numpy as np
import pytest

from scripts.benchmarks import ops_report
from scripts.benchmarks.cases import layers, random_layers
from scripts.benchmarks.timing import Times, geometric_mean


def test_layers_are_distinct_and_fit_their_networks():
    found = layers.all_layers()
    assert len({layer.name for layer in found}) == len(found)
    assert {layer.net for layer in found} >= {
        "lenet5", "alexnet", "vgg16", "googlenet", "resnet50", "resnext50", "mobilenet_v2",
        "resnet20", "wrn16_4",
    }  # fmt: skip
    assert {layer.family for layer in found} == set(ops_report.FAMILIES)
    vgg = [layer for layer in found if isinstance(layer, layers.Conv) and layer.net == "vgg16"]
    # Simonyan 2015, table 1, D: nine distinct shapes of 3x3 convolution.
    assert len(vgg) == 9 and {layer.kernel for layer in vgg} == {3}


def test_drawn_layers_follow_from_the_seed_and_fit_their_images():
    drawn = random_layers.draw(0, 24)
    assert drawn == random_layers.draw(0, 24) != random_layers.draw(1, 24)
    assert len({layer.name for layer in drawn}) == 24
    # Twelve kinds, twice each.
    assert {layer.family for layer in drawn} == set(ops_report.FAMILIES) - {"LRN"}
    for layer in drawn:
        if isinstance(layer, layers.Conv):
            assert layer.size + 2 * layer.padding >= layer.kernel
            assert layer.channels % layer.groups == layer.filters % layer.groups == 0
        else:
            assert layer.size >= layer.window


def test_ratios_are_of_medians_and_means_are_geometric():
    times = Times({"ours": np.array([1.0, 1.0, 9.0]), "lax": np.array([2.0, 3.0, 2.0])})
    assert times.ratio("lax", "ours") == 2.0
    low, high = times.ratio_bounds("lax", "ours")
    assert low <= 2.0 <= high
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    rows = [
        {"layer": "a", "pass": "forward", "ms": {"ours": 1.0, "lax": 4.0, "plain": 2.0}},
        {"layer": "a", "pass": "dL/dx", "ms": {"ours": 3.0, "lax": 4.0, "plain": 6.0}},
    ]
    assert ops_report.by_layer(rows, "lax") == [2.0]
    assert ops_report.by_layer(rows, "best") == [1.5]
    assert ops_report.ratios(rows, "torch") == []


def test_one_layer_from_end_to_end(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from scripts.benchmarks import ops

    out = tmp_path / "results"
    ops.main(["--only", "lenet5 5x5x16", "--repeats", "2", "--no_torch", "--out", str(out)])
    report = json.loads(out.with_suffix(".json").read_text())
    assert [row["pass"] for row in report["rows"]] == ["forward", "dL/dx", "dL/dk"]
    assert all(row["ms"]["ours"] > 0 for row in report["rows"])
    assert "strongest plain" in out.with_suffix(".md").read_text()
    assert out.with_suffix(".png").stat().st_size > 1000
    assert "lenet5 5x5x16 5x5 120" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no layer matches"):
        ops.main(["--only", "no such layer"])
