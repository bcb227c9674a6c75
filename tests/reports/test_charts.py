"""Charts as SVG: which points and colors they have."""

import json
import math
import re
import xml.etree.ElementTree as xml
from typing import Any

import pytest

from cnnjax.reports.charts import Line, line_chart
from cnnjax.reports.charts.bars_chart import bars_chart
from cnnjax.tasks.sections import Bars, Bin

NAMES: dict[str, Any] = {"across": "epoch", "up": "loss"}


def _marks(svg):
    """How often each color of the style sheet marks a point."""
    return [re.findall(r"var\(--\w+\)", use)[0] for use in re.findall(r"<use [^>]*>", svg)]


def test_points_are_drawn_in_the_colors_of_the_page():
    svg: Any = line_chart(
        [Line(1, [1, 2, 3], [4, 5, 6]), Line(2, [1, 2], [4, 5])], name="a", **NAMES
    )
    assert svg.startswith("<svg ")
    xml.fromstring(svg)
    marks = _marks(svg)
    assert marks.count("var(--c1)") == 3 and marks.count("var(--c2)") == 2
    assert not re.search(r"#0[1-9]0", svg)
    assert ">epoch</text>" in svg and ">loss</text>" in svg


@pytest.mark.parametrize(
    ("values", "log", "drawn"),
    [
        ([1.0, float("nan"), 3.0], False, 2),
        ([1.0, float("inf"), -3.0], False, 2),
        ([1.0, 0.0, -3.0], True, 1),
        ([1.0, 10.0, 100.0], True, 3),
    ],
)
def test_points_that_an_axis_cannot_show_are_left_out(values, log, drawn):
    svg: Any = line_chart([Line(3, [1, 2, 3], values)], name="a", log=log, **NAMES)
    assert _marks(svg).count("var(--c3)") == drawn


@pytest.mark.parametrize(
    ("lines", "log"),
    [
        ([], False),
        ([Line(1, [], [])], False),
        ([Line(1, [1.0], [float("nan")])], False),
        ([Line(1, [1.0, 2.0], [0.0, -1.0])], True),
    ],
)
def test_a_chart_without_points_is_none(lines, log):
    assert line_chart(lines, name="a", log=log, **NAMES) is None


def test_a_line_without_a_color_is_thin_and_dashed():
    svg: Any = line_chart([Line(0, [0, 1], [0, 1], marker="")], name="a", **NAMES)
    assert "stroke-dasharray" in svg and "var(--c1)" not in svg
    (thin,) = re.findall(r"stroke-dasharray[^\"]*stroke: var\(--muted\)[^\"]*", svg)
    assert "stroke-width: 1.2" in thin


def test_points_that_are_not_joined_have_no_line():
    drawn: Any = (
        line_chart([Line(1, [0, 1], [0, 1], joined=j)], name="a", **NAMES) for j in (True, False)
    )
    joined, loose = drawn
    line = r'<path d="[^"]*"[^>]*style="fill: none; stroke: var\(--c1\)'
    assert re.search(line, joined) and not re.search(line, loose)


def test_charts_of_one_page_share_no_ids():
    charts: list[Any] = [
        line_chart([Line(1, [0, 1], [1, 2])], name=name, log=log, **NAMES)
        for name, log in (("a", False), ("a", True), ("b c", False))
    ]
    ids = [set(re.findall(r'\bid="([^"]+)"', chart)) for chart in charts]
    assert not ids[0] & ids[1] and not ids[0] & ids[2] and not ids[1] & ids[2]
    assert all(name.startswith("b-c-linear-") for name in ids[2])
    for chart, own in zip(charts, ids, strict=True):
        used = set(re.findall(r"url\(#([^)]+)\)", chart)) | set(
            re.findall(r'href="#([^"]+)', chart)
        )
        assert used and used <= own


@pytest.mark.parametrize(("log", "log_across"), [(False, False), (True, True)])
def test_values_under_the_pointer_lie_where_their_marks_are(log, log_across):
    x, y = [1.0, 10.0, 40.0], [3.0, 0.5, 20.0]
    axes = {"log": log, "log_across": log_across}
    svg: Any = line_chart([Line(1, x, y, name="a <b>")], name="a", **axes, **NAMES)
    chart = json.loads(xml.fromstring(svg).attrib["data-chart"])
    (line,) = chart["lines"]
    assert (line["name"], line["color"], line["x"], line["y"]) == ("a <b>", 1, x, y)
    marks = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*--c1[^>]*>', svg)
    drawn = [(float(left), float(top)) for left, top in marks]

    def place(axis, value):
        start, length, logarithmic = axis
        return start + length * (math.log10(value) if logarithmic else value)

    for (left, top), across, up in zip(drawn, x, y, strict=True):
        assert place(chart["x"], across) == pytest.approx(left, abs=0.01)
        assert place(chart["y"], up) == pytest.approx(top, abs=0.01)
        assert chart["top"] <= top <= chart["bottom"]


def test_of_many_points_the_pointer_finds_some_and_the_last():
    count = 1001
    svg: Any = line_chart([Line(1, range(count), range(count), "")], name="a", **NAMES)
    (line,) = json.loads(xml.fromstring(svg).attrib["data-chart"])["lines"]
    assert len(line["x"]) <= 402 and line["x"] == line["y"] and line["x"][-1] == count - 1


def test_lines_of_one_color_have_dashes_and_bands():
    lines = [Line(1, [1, 2], [2, 3], dash=dash, band=([0, 2], [3, 4])) for dash in range(4)]
    svg: Any = line_chart(lines, name="a", log=True, **NAMES)
    xml.fromstring(svg)
    dashes = set(re.findall(r"stroke-dasharray: ([\d., ]+)", svg))
    assert len(dashes) == 3
    assert svg.count("fill-opacity: 0.16") == 4
    # The band and the line of one setting are highlighted together.
    assert sorted(re.findall(r'data-line="(\d)"', svg)) == [*"00112233"]
    values = json.loads(xml.fromstring(svg).attrib["data-chart"])["lines"][0]
    assert (values["low"], values["high"]) == ([0, 2], [3, 4])


def test_large_ticks_have_letters():
    line = Line(1, [1e4, 1e9], [1.0, 2.0])
    svg: Any = line_chart([line], name="a", log_across=True, **NAMES)
    assert {">10 K</text>", ">1 M</text>", ">1 G</text>"} & set(re.findall(r">[^<]*</text>", svg))


def test_names_of_axes_are_escaped():
    svg: Any = line_chart([Line(1, [0, 1], [1, 2])], name="<x>", across="a < b & c", up="y")
    assert "a &lt; b &amp; c" in svg
    xml.fromstring(svg)


def _bars(*bins):
    svg: Any = bars_chart(Bars("Reliability", bins, "a < b", "accuracy", "share", ("bar", "mark")))
    groups = xml.fromstring(svg).findall("g")
    shapes = []
    for group in groups:
        rectangles: Any = group.findall("rect")
        bar, strip = rectangles
        line: Any = group.find("line")
        shapes.append(
            [float(bar.get(k)) for k in ("x", "width", "y", "height")]
            + [float(line.get("y1")), float(strip.get("height"))]
        )
    return svg, groups, shapes


def test_bars_are_as_high_and_as_wide_as_their_bins():
    whole, half = Bin(0.0, 0.5, 1.0, 0.25, 0.2), Bin(0.5, 0.75, 0.5, 1.0, 0.8, True, "a & b")
    svg, groups, ((x, width, top, height, mark, share), other) = _bars(whole, half)
    bottom = top + height
    # One pixel is left free at each side.
    assert other[0] == x + width + 2
    assert other[1] + 2 == pytest.approx((width + 2) / 2)
    assert other[3] == pytest.approx(height / 2) and other[2] + other[3] == pytest.approx(bottom)
    assert mark == pytest.approx(bottom - height / 4)
    assert other[4] == pytest.approx(top)
    # Shares are compared with the largest one.
    assert share == pytest.approx(other[5] / 4)
    assert [group.get("opacity") for group in groups] == [None, ".35"]
    assert groups[1].findtext("title") == "a & b"
    assert "a &lt; b" in svg


def test_a_bin_of_height_0_is_still_seen():
    _, _, ((*_, height, _, share),) = _bars(Bin(0, 0.1, 0.0, 0.5, 0.0))
    assert height == 2 and share == 1


def test_a_chart_without_bins_has_its_axes():
    svg, groups, _ = _bars()
    assert groups == [] and ">100</text>" in svg
