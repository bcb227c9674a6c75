"""Boxes above pictures lie where their shares are, and their texts are escaped."""

import re

import numpy as np

from cnnjax.reports.box_overlay import box_overlay
from cnnjax.reports.task_sections import draw_part
from cnnjax.tasks import MarkedBox
from cnnjax.tasks.sections import Picture, Pictures


def rectangles(svg, tone):
    numbers = r'x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"'
    return [tuple(map(float, found)) for found in re.findall(rf'class="{tone}" {numbers}', svg)]


def test_a_box_has_the_place_of_its_shares():
    svg = box_overlay([MarkedBox(0.25, 0.5, 0.75, 1.0, "cat", "wrong")], 60, 120)
    # 400 units wide, and half as high.
    assert 'viewBox="0 0 400 200.0"' in svg
    assert rectangles(svg, "wrong") == [(200, 50, 200, 100)] == rectangles(svg, "under")
    assert ">cat</text>" in svg


def test_texts_are_escaped_and_stay_on_the_picture():
    svg = box_overlay([MarkedBox(0, 0.95, 1, 1, "<b> & more", "right")], 10, 10)
    assert "&lt;b&gt; &amp; more" in svg
    (x, y) = re.findall(r'<text class="right" x="([\d.]+)" y="([\d.]+)"', svg)[0]
    assert float(x) <= 400 - 6 * len("<b> & more")
    assert 0 < float(y) <= 400


def test_of_a_crowd_only_what_is_wrong_is_named():
    boxes = [MarkedBox(0, 0, 0.1, 0.1, "fine", "right")] * 30
    svg = box_overlay([*boxes, MarkedBox(0, 0, 1, 1, "bad", "wrong")], 10, 10)
    assert "fine" not in svg
    assert "bad" in svg


def test_pictures_without_boxes_have_no_overlay():
    pixels = np.zeros((8, 8, 1), np.uint8)
    boxes = (MarkedBox(0, 0, 1, 1),)
    part = Pictures("", [Picture(pixels), Picture(pixels, boxes=boxes)], large=True)
    plain, boxed = draw_part(part, "p")["cards"]
    assert plain["boxes"] == ""
    assert boxed["boxes"].startswith("<svg")
