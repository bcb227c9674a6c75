"""What is read from programs that were compiled for TPU, and the page that is made of it."""

import json
import subprocess
import sys

import pytest

from cnnjax.analysis.cost.roofline import roofline
from cnnjax.analysis.cost.tpu import described_chips
from scripts.tpu import report
from scripts.tpu.nets import IMAGES, NETS
from scripts.tpu.programs import collectives, fusions
from tests.helpers.processes import ROOT

# Lines in the form that libtpu 0.0.50 writes.
PROGRAM = """
HloModule jit_step, is_scheduled=true
ENTRY %main {
  %p = f32[64]{0:T(128)} parameter(0)
  %fusion.1 = bf16[32,8,8,64]{3,0,2,1:T(8,128)(2,1)} fusion(%p), kind=kLoop, calls=%f
  %fusion.2 = (f32[64]{0:T(128)S(1)}, f32[64]{0:T(128)}) fusion(%p), kind=kOutput, calls=%g
  %all-reduce.1 = (f32[64]{0:T(128)}, bf16[3,3,64,64]{3,2,1,0}) all-reduce(%p, %q), channel_id=1
  %all-reduce-start.2 = f32[10]{0} all-reduce-start(%p), channel_id=2
  %all-reduce-done.2 = f32[10]{0} all-reduce-done(%all-reduce-start.2)
  %all-gather-start = (f32[8,4]{1,0}, f32[32,4]{1,0}, u32[]) all-gather-start(%p), channel_id=3
  %all-gather-done = f32[32,4]{1,0} all-gather-done(%all-gather-start)
  %reduce-scatter = f32[]{:T(128)} reduce-scatter(%p), channel_id=4
}
"""


def test_collective_operations_are_counted_once_with_the_bytes_of_their_results():
    assert collectives(PROGRAM) == {
        "all-reduce": {"count": 2, "bytes": 64 * 4 + 9 * 64 * 64 * 2 + 10 * 4},
        "all-gather": {"count": 1, "bytes": 32 * 4 * 4},
        "reduce-scatter": {"count": 1, "bytes": 4},
    }
    assert fusions(PROGRAM) == 2
    assert collectives("HloModule none") == {}


def test_the_least_time_is_the_longest_of_three():
    # One second of each: 197 TFLOP, 819 GB, and 200 GB/s of links at 2 (n - 1) / n passes.
    least = roofline(197e12, 819e9, summed_bytes=200e9, chips=4, chip="v5e")
    assert (least.arithmetic, least.memory, least.links) == (1, 1, 1.5)
    assert least.seconds == 1.5 and least.limit == "links"
    assert roofline(1, 1, summed_bytes=1e12, chip="v5e").links == 0
    with pytest.raises(ValueError, match="roofline: chip must be one of v5e, got 'v9'"):
        roofline(1, 1, chip="v9")
    with pytest.raises(ValueError, match="chips must be at least 1, got 0"):
        roofline(1, 1, chips=0, chip="v5e")


def _row(backward, **values):
    row = {
        "net": "ResNet-18", "model": "resnet18", "chips": 4, "images_per_chip": 32,
        "image": [224, 224, 3], "backward": backward, "dtype": "bfloat16", "flops": 197e9,
        "bytes_accessed": 8.19e9, "temporary_bytes": 5e8, "argument_bytes": 1e8,
        "code_bytes": 1e7, "fusions": 300, "compile_seconds": 80.0,
        "collectives": {"all-reduce": {"count": 5, "bytes": 4e7}},
        "versions": {"jax": "1", "jaxlib": "1", "libtpu": "2"},
    }  # fmt: skip
    return row | values


def test_the_page_shows_measured_pairs_alone():
    alone = _row("ours", model="vgg11", net="VGG-11")
    rows = [_row("ours"), alone, _row("native", bytes_accessed=16.38e9)]
    page = report.markdown(rows, "A note.")
    assert "| ResNet-18 | 4 | 32 | 197.0, 197.0 | 8.19, 16.38 | 500, 500 |" in page
    assert "| ResNet-18 | 4 | 5 all-reduce, 40.0 | 5 all-reduce, 40.0 |" in page
    assert "| ResNet-18 | 4 | 10.00 | 20.00 | 2.00 | memory |" in page
    assert "VGG-11" not in page and page.endswith("A note.\n")


def test_every_network_has_a_number_of_images():
    assert all(net.image[0] in IMAGES for net in NETS.values())


def test_slices_that_do_not_exist_are_refused():
    with pytest.raises(
        ValueError, match=r"described_chips: chips must be one of \[1, 2, 4, 8, 16\]"
    ):
        described_chips(3)


@pytest.mark.slow
def test_lenets_step_is_compiled_for_chips_that_are_not_there(tmp_path):
    pytest.importorskip("libtpu", reason='pip install "cnnjax[tpu-aot]" brings it')
    command = [sys.executable, "-m", "scripts.aot_tpu", "--net=lenet5", f"--out={tmp_path / 'x'}"]
    subprocess.run([*command, "--chips=1", "--chips=4"], cwd=ROOT, check=True)
    rows = json.loads((tmp_path / "x.json").read_text())["rows"]
    assert [(row["chips"], row["backward"]) for row in rows] == [
        (1, "ours"), (1, "native"), (4, "ours"), (4, "native"),
    ]  # fmt: skip
    for row in rows:
        # LeNet-5: 416,520 multiply-adds an image forward, twice that backward but for dL/dx of the
        # first layer; padding that the chip multiplies is not counted.
        assert 2 * 416_520 * 256 < row["flops"] < 20 * 416_520 * 256
        assert ("all-reduce" in row["collectives"]) is (row["chips"] == 4)
        assert "all-gather" not in row["collectives"]
