"""The page that compares runs: its figures, its links, and what it must not do."""

import html.parser
import json
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from scipy import stats

from cnnjax import reports
from cnnjax.training import ConfigError
from tests.helpers.browser import CHROMIUM, Browser
from tests.reports.compare.folders import (
    LOSSES,
    config_of,
    write_four,
    write_run,
    write_study,
)

EVIL = "<script>alert('x')<!-- &\"#?%"
"""A folder's name."""


class Page(html.parser.HTMLParser):
    """Collects elements, the cells of tables, and checks that elements are nested."""

    void = frozenset({"meta", "link", "img", "br", "wbr", "input"})

    def __init__(self, path):
        super().__init__()
        self.elements, self.open = [], []
        self.tables: list[list[list[tuple[str, dict]]]] = []
        self._cell: tuple[list[str], dict] | None = None
        self.text = path.read_text()
        self.feed(self.text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self._cell = ([], dict(attrs))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self._cell:
            self._cell[0].append(data)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("td", "th") and self._cell:
            words, attrs = self._cell
            self.tables[-1][-1].append((" ".join("".join(words).split()), attrs))
            self._cell = None

    def charts(self):
        """The values of each chart, as the page's script reads them."""
        return [json.loads(a["data-chart"]) for _, a in self.elements if "data-chart" in a]


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    root = tmp_path_factory.mktemp("four")
    folders = write_four(root / "runs")
    (folders[0] / "report.html").write_text("")
    return Page(reports.write_comparison(folders, root / "page.html"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("study")
    write_study(workdir)
    return Page(reports.write_comparison([workdir]))


@pytest.mark.parametrize("name", ["four", "study"])
def test_the_page_requests_nothing(name, request):
    page = request.getfixturevalue(name)
    references = [
        value
        for tag, attrs in page.elements
        for key, value in attrs.items()
        if key in ("src", "href", "xlink:href", "srcset", "data", "action", "poster")
    ]
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert all(r.startswith(("data:", "#")) or r in links for r in references)
    assert not [link for link in links if re.match(r"[a-z]+:|//", link)]
    assert "@import" not in page.text and not re.search(r"url\((?!#)", page.text)
    (script,) = re.findall(r"<script\b[^>]*>(.*?)</script>", page.text, re.DOTALL)
    assert not re.search(r"fetch|XMLHttp|import\s*\(|https?:(?!//www.w3.org/2000/svg)", script)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {r[1:] for r in references if r.startswith("#")} <= set(ids)


def test_charts_hold_the_means_of_the_folders(four):
    losses = [chart for chart in four.charts() if chart["up"] == "loss"]
    shown = losses[0]
    for line, rate in zip(shown["lines"], (0.1, 0.01), strict=True):
        rows = np.array([LOSSES[rate, seed] for seed in (0, 1)])
        assert line["name"] == f"learning_rate {rate}" and line["x"] == [1, 2, 3]
        np.testing.assert_allclose(line["y"], rows.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(line["low"], rows.min(axis=0), rtol=1e-6)
        np.testing.assert_allclose(line["high"], rows.max(axis=0), rtol=1e-6)
    errors = [chart for chart in four.charts() if chart["up"] == "error, %"]
    # 1 minus a metric turns its band over.
    np.testing.assert_allclose(errors[0]["lines"][0]["high"], [55, 35, 17.5], rtol=1e-6)
    assert four.text.count("data-line=") >= 2 * sum(len(chart["lines"]) for chart in losses)


def test_tables_hold_means_intervals_and_runs(four):
    settings, runs, losses, _ = four.tables
    assert [cell for cell, _ in settings[0]] == [
        *("learning_rate", "seeds", "test loss", "test accuracy"),
    ]
    mean, half = 0.6, stats.t.ppf(0.975, 1) * np.std([0.5, 0.7], ddof=1) / np.sqrt(2)
    assert [cell for cell, _ in settings[1]] == [
        *("0.1", "2 (0, 1)", f"{mean:.4g} ± {half:.2g}", f"85.00 % ± {25 * half:.2f}"),
    ]
    rows = {row[0][0]: row for row in runs[1:]}
    assert list(rows) == [f"rate-{rate}-seed-{seed}" for rate, seed in LOSSES]
    for (rate, seed), values in LOSSES.items():
        _, shown, loss, accuracy, epochs, state, seconds, product = (
            cell for cell, _ in rows[f"rate-{rate}-seed-{seed}"]
        )
        assert (shown, loss) == (str(seed), f"{values[-1]:.4g}")
        assert accuracy == f"{100 * (1 - values[-1] / 4):.2f} %"
        # 60 steps of 10 images, at 50 images a second; LeNet-5 has 416,520 multiply-adds.
        assert (epochs, state, seconds, product) == ("3", "not finished", "12.0 s", "250M")
    difference = np.subtract([1.5, 1.6], [0.5, 0.7])
    low, high = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    label, shown, interval, _, count, corrected = (cell for cell, _ in losses[1])
    assert label == "learning_rate 0.01 − learning_rate 0.1"
    assert (shown, interval) == ("+0.95", f"{low:+.3g} to {high:+.3g}")
    assert (count, corrected) == ("2", "above 0" if low > 0 else "undecided")


def test_tables_can_be_sorted(four):
    for table in four.tables[:2]:
        assert all(attrs["aria-sort"] == "none" for _, attrs in table[0])
        for row in table[1:]:
            assert all("data-value" in attrs for _, attrs in row)
    # Numbers are sorted by their values, whatever is shown.
    seconds = [row[6][1]["data-value"] for row in four.tables[1][1:]]
    assert seconds == ["12.0"] * 4


def test_a_run_with_a_report_is_linked_relatively(four):
    links = [a["href"] for tag, a in four.elements if tag == "a" and "report" in a["href"]]
    assert links == ["runs/rate-0.1-seed-0/report.html"]


def test_the_verdict_and_the_outcomes_of_a_study_are_shown(study):
    comparisons, outcomes = study.tables[:2]
    ((statement, _), (effect, _), (difference, _), (level, _), _, (decision, _)) = comparisons[1]
    # Every seed differs by 0.2: equal differences are undecided.
    assert statement == "primary deep over shallow" and effect == "0 %"
    assert difference.startswith("+20 (") and (level, decision) == ("95 %", "undecided")
    assert [cell for cell, _ in outcomes[0]] == ["setting", "error, %"]
    mean = 100 * np.mean([0.3, 0.31, 0.34])
    assert outcomes[2][0][0] == "kind-plain_depth-20"
    assert outcomes[2][1][0].startswith(f"{mean:.2f} ±")
    (norms, _) = [chart for chart in study.charts() if chart["across"] == "place"]
    np.testing.assert_allclose(norms["lines"][1]["y"], [mean / 100, mean / 50], rtol=1e-6)
    assert "by &lt;layer&gt;" in study.text
    assert "3 of 12 runs" not in study.text and "12 of 12 runs finished" in study.text


def test_foreign_names_are_escaped_and_linked(tmp_path):
    evil = write_run(tmp_path / EVIL, config=config_of(EVIL, 0), model=EVIL, dataset=EVIL)
    (evil / "report.html").write_text("")
    other = write_run(tmp_path / "other", seed=1, model=EVIL, dataset=EVIL)
    page = Page(reports.write_comparison([evil, other], tmp_path / "page.html"))
    assert len([1 for tag, _ in page.elements if tag == "script"]) == 1
    (link,) = [a["href"] for tag, a in page.elements if tag == "a" and "report" in a["href"]]
    assert (tmp_path / unquote(link)).is_file() and not re.search(r"[<>\"'#?]", link)
    assert EVIL in page.tables[0][1][0][0]
    names = {line["name"] for chart in page.charts() for line in chart["lines"]}
    assert any("<script>" in name for name in names)


def test_runs_without_repeats_have_one_table_and_no_differences(tmp_path):
    folders = [write_run(tmp_path / name, rate) for name, rate in (("a", 0.1), ("b", 0.01))]
    page = Page(reports.write_comparison(folders, tmp_path / "page.html"))
    (table,) = page.tables
    assert [cell for cell, _ in table[0]][:3] == ["run", "learning_rate", "seed"]
    assert "No two settings share two seeds" in page.text
    assert not any("low" in line for chart in page.charts() for line in chart["lines"])


def test_the_page_is_written_where_it_is_named(tmp_path, monkeypatch):
    folders = [write_run(tmp_path / name, seed=i) for i, name in enumerate("ab")]
    with pytest.raises(ConfigError, match=r"must end in \.html"):
        reports.write_comparison(folders, tmp_path / "page.txt")
    with pytest.raises(ConfigError, match="does not exist"):
        reports.write_comparison(folders, tmp_path / "none" / "page.html")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cnnjax.reports.compare.page.render_comparison", lambda *_: "page")
    assert reports.write_comparison(["a", "b"]) == Path("comparison.html")
    assert (tmp_path / "comparison.html").read_text() == "page"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_values_sorts_and_enlarges(tmp_path):
    folders = write_four(tmp_path / "runs")
    page = reports.write_comparison(folders, tmp_path / "page.html")
    with Browser() as browser:
        browser.open(page)
        x, y = browser.center("svg[data-chart]")
        # The scrolling hides what is shown, in the next frame.
        browser.run("new Promise(done => setTimeout(done, 200))", wait=True)
        browser.point(x, y)
        tip = browser.run("document.querySelector('.tip').textContent")
        assert tip.startswith("epoch 2") and not browser.run(
            "document.querySelector('.tip').hidden"
        )
        assert "learning_rate 0.011.95" in tip and "learning_rate 0.11.2" in tip
        sort = "document.querySelectorAll('.sortable')[1].querySelectorAll('button')[2].click()"
        browser.run(sort)
        browser.run(sort)
        rows = "[...document.querySelectorAll('.sortable')[1].tBodies[0].rows]"
        losses = browser.run(f"{rows}.map(row => +row.cells[2].dataset.value)")
        assert losses == sorted(losses, reverse=True) == [1.6, 1.5, 0.7, 0.5]
        browser.run("document.querySelector('.enlarge').click()")
        assert browser.run("document.querySelector('dialog').open")
        browser.run("document.querySelector('dialog .close').click()")
        browser.run("new Promise(done => setTimeout(done, 200))", wait=True)
        assert browser.run("document.querySelectorAll('dialog figure').length") == 0
        for width in (1400, 390):
            browser.open(page, width)
            assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.errors == []
        assert {address.partition(":")[0] for address in browser.requests} <= {"file", "data"}
