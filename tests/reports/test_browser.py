"""A run's page in Chromium: values under the pointer, enlarged pictures, whole words in tables."""

import dataclasses
import re

import pytest

from cnnjax import reports
from cnnjax.tasks import Classification
from tests.helpers.browser import CHROMIUM, Browser
from tests.reports.fakes import fake_network, write_run_folder

NAMES = ("shoes", "long sleeve", "undershirt", "frog", "airplane", "Norwegian elkhound")

BROKEN_WORDS = """
[...document.querySelectorAll('.list td, .list th, .confusion th, .guesses dt')].flatMap(cell => {
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
  for (let text; (text = texts.nextNode());) {
    for (const word of text.data.matchAll(/[A-Za-z]{2,12}/g)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (range.getClientRects().length > 1) broken.push(word[0]);
    }
  }
  return broken;
})
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    network = fake_network(classes=len(NAMES), channels=3, count=120, wrong=9, size=24)
    network.task = Classification(NAMES)
    files = [f"photos/{NAMES[i % len(NAMES)]}/photo_{i}.jpeg" for i in range(120)]
    evaluated = dataclasses.replace(network.evaluated(), files=files)
    object.__setattr__(network, "evaluated", lambda: evaluated)
    path = folder / "report.html"
    path.write_text(reports.render(reports.read_run_record(write_run_folder(folder)), network))
    return path


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_and_breaks_no_words(page, width, dark):
    with Browser() as browser:
        browser.open(page, width, dark=dark)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(BROKEN_WORDS) == []
        if width == 390:
            # As a cell of a narrow table did that may break anywhere.
            browser.run(
                "document.querySelectorAll('.confusion th').forEach(head => head.style.cssText = "
                "'overflow-wrap: anywhere; width: 1px; padding: 0')"
            )
            browser.run("document.querySelector('.confusion').style.tableLayout = 'fixed'")
            assert "undershirt" in browser.run(BROKEN_WORDS)
        assert browser.errors == []
        assert {address.partition(":")[0] for address in browser.requests} <= {"file", "data"}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_values_are_shown_and_mistakes_enlarged(page):
    with Browser() as browser:
        browser.open(page)
        x, y = browser.center("#curves svg[data-chart]")
        browser.run("new Promise(done => setTimeout(done, 200))", wait=True)
        browser.point(x, y)
        shown = browser.run("document.querySelector('.tip').textContent")
        assert shown.startswith("epoch ") and "training batches" in shown
        small = browser.run("document.querySelector('.photo').clientWidth")
        x, y = browser.center("#mistakes .photo")
        browser.point(x, y, "click")
        assert browser.run("document.querySelector('dialog img').clientWidth") > 4 * small
        caption = browser.run("document.querySelector('dialog figcaption').textContent")
        file = re.fullmatch(r"(.+)/photo_(\d+)\.jpeg, of class (.+); predicted: (.+)", caption)
        assert file is not None and file[1] == file[3] == NAMES[int(file[2]) % len(NAMES)]
        assert file[4] == NAMES[(int(file[2]) + 1) % len(NAMES)]
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="Escape", code="Escape")
        browser.call("Input.dispatchKeyEvent", type="keyUp", key="Escape", code="Escape")
        assert browser.errors == []
