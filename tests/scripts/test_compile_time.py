"""The benchmark of compile time: its page, and one small network."""

import pytest

from scripts.benchmarks import compile_time
from scripts.benchmarks.cases.whole_nets import NETS


def test_the_page_has_the_ratio_of_each_network_and_their_mean():
    def row(net, ours):
        seconds = {"ours": ours, "native": 2.0, "init": 1.0}
        return {"net": net, **{way: {"wall_s": s, "cpu_s": 2 * s} for way, s in seconds.items()}}

    report = {"command": "c", "machine": "m", "rows": [row("a", 2.0), row("b", 8.0)]}
    page = compile_time.page(report)
    assert "| a | 2.0 (4.0) | 2.0 (4.0) | 1.00 | 1.0 (2.0) |" in page
    assert "| b | 8.0 (16.0) | 2.0 (4.0) | 4.00 | 1.0 (2.0) |" in page
    assert "geometric mean: 2.00" in page


@pytest.mark.slow
@pytest.mark.parametrize("way", compile_time.WAYS)
def test_each_way_compiles(way):
    net = next(net for net in NETS if net.label == "LeNet-5")
    wall, cpu = compile_time.compile_once(net, way)
    assert 0 < wall < 60 and cpu > 0
