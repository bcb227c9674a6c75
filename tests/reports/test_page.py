import dataclasses
import html.parser
import importlib.util
import re
from typing import Any

import numpy as np
import pytest

from cnnjax import inference, reports
from cnnjax.reports.task_sections import draw_section
from cnnjax.tasks import sections
from cnnjax.training import RunFolderError
from tests.reports.fakes import (
    NoConvolution,
    PointTask,
    StoredImages,
    fake_network,
    fake_regression,
    metrics_line,
    write_run_folder,
)


class _Elements(html.parser.HTMLParser):
    """Collects the page's elements and checks that they are nested."""

    void = frozenset({"meta", "link", "img", "br", "wbr", "input"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _page(folder, network, **files):
    return reports.render(reports.read_run_record(write_run_folder(folder, **files)), network)


def _text(page_text):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page_text.split("<main>")[1]))


def test_page_is_whole_and_needs_nothing_outside_it(tmp_path):
    text = _page(tmp_path, fake_network())
    elements = _Elements(text).elements
    references = [a[k] for _, a in elements for k in ("src", "href", "xlink:href") if k in a]
    assert all(r.startswith(("data:", "#")) for r in references)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {r[1:] for r in references if r.startswith("#")} <= set(ids)
    assert all("alt" in a for tag, a in elements if tag == "img")


def test_headline_counts_the_predictions(tmp_path):
    text = _text(_page(tmp_path, fake_network(count=60, wrong=7)))
    assert "53 of 60 images right" in text and "88.33 %" in text
    # First layer 3·3·1·6 + 6, second 3·3·6·20 + 20, head 4·4·20·10 + 10.
    assert f"{60 + 1100 + 3210:,}" in text


def test_the_network_is_drawn_once_with_its_parameters(tmp_path):
    text = _page(tmp_path, fake_network())
    (drawing,) = re.findall(r"<svg[^>]*cnnjax-diagram.*?</svg>", text, re.DOTALL)
    counts = re.findall(r'<text class="muted"[^>]*>([\d.]+K?)</text>', drawing)
    assert [count for count in counts if count in ("60", "1.10K", "3.21K")] == [
        *("60", "1.10K", "3.21K")
    ]
    # Rules of the page do not reach the drawing: no class of it has one.
    classes = {name for names in re.findall(r'class="([^"]*)"', drawing) for name in names.split()}
    sheet = text[text.index("<style>") : text.index("</style>")]
    assert [name for name in classes if re.search(rf"\.{name}\b(?!-)", sheet)] == []


def test_every_mistake_shows_truth_and_three_guesses(tmp_path):
    text = _page(tmp_path, fake_network(wrong=7))
    section = text.split('id="mistakes"')[1].split("Right by the narrowest")[0]
    cards = section.split('class="card"')[1:]
    assert len(cards) == 7
    assert all(card.count("<dt>") == 3 and "60.00 %" in card for card in cards)
    assert "image 3, of class class 3; predicted: class 4" in section


def test_images_that_are_not_shown_are_not_read(tmp_path):
    network = fake_network(count=2000, wrong=50)
    network.images = StoredImages(network.images)
    record = reports.read_run_record(write_run_folder(tmp_path))
    reports.render(record, network)
    # 36 mistakes, 8 narrow ones and the one on its way through the network.
    assert len(network.images.read) <= 36 + 8 + 1


def test_confusion_cells_hold_the_counts(tmp_path):
    text = _page(tmp_path, fake_network(count=60, wrong=1))
    assert 'title="1 of 6 images: truth class 0, predicted class 1">1<' in text
    assert 'title="5 of 6 images: truth class 0, predicted class 0">5<' in text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"wrong": 0}, "No mistakes"),
        ({"classes": 100, "count": 300, "wrong": 50}, "most certain of 50 mistakes"),
        ({"channels": 3}, "color image"),
        ({"model": NoConvolution(10)}, "Confusion matrix"),
        ({"count": 1, "wrong": 1}, "The only mistake"),
    ],
)
def test_page_fits_runs_of_every_kind(tmp_path, options, expected):
    text = _page(tmp_path, fake_network(**options))
    _Elements(text)
    assert expected in text
    assert len(text) < 1_500_000
    assert ("matrix-picture" in text.split("</style>")[1]) == (options.get("classes") == 100)


@pytest.mark.parametrize("split", ["train", "test", "validation"])
def test_one_line_of_metrics_is_enough(tmp_path, split):
    evaluated = "test" if split == "train" else split
    text = _page(tmp_path, fake_network(split=evaluated), lines=[metrics_line(5, split)])
    _Elements(text)
    assert ("Validation accuracy" in text) == (split == "validation")


def test_losses_of_zero_and_no_errors_are_drawn(tmp_path):
    lines = [metrics_line(s, loss=0.0, accuracy=1.0) for s in (5, 10)]
    assert "Nothing to draw on this axis" in _page(tmp_path, fake_network(), lines=lines)


def test_a_checkpoint_that_differs_from_the_log_is_named(tmp_path):
    lines = [metrics_line(20, "test", accuracy=0.5)]
    assert "gives 88.33 %" in _page(tmp_path, fake_network(), lines=lines)
    assert "which this page shows" not in _page(tmp_path, fake_network())


def _regression_lines(last=1.0):
    return [
        {"step": step, "epoch": step / 10, "split": split, "distance": last * 20 / step}
        for split in ("train", "test")
        for step in (5, 10, 20)
    ]


def test_a_task_of_another_kind_has_a_page(tmp_path):
    network = fake_regression()
    distance = np.linalg.norm(network.predictions - network.parts["point"], axis=1).mean()
    text = _page(tmp_path, network, lines=_regression_lines(float(distance)))
    elements = _Elements(text).elements
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids)) and "points" in ids
    assert f"digits: {distance:.3f} pixels</title>" in text
    assert "which this page shows" not in text
    curves = text.split('id="curves"')[1].split("</section>")[0]
    assert curves.count("<svg") == 2 and ">Distance</h3>" in curves
    section = text.split('id="points"')[1].split("</section>")[0]
    assert section.count('class="photo"') == 4
    assert "point &lt;" in section and "point <" not in section
    assert "There is nothing." in section
    assert section.count('class="key') == 1 + 3
    assert not re.search("accuracy|label|class|prediction is correct", _text(text), re.IGNORECASE)


def test_a_regression_that_differs_from_its_log_is_named(tmp_path):
    text = _page(tmp_path, fake_regression(), lines=_regression_lines(9.0))
    assert "The log of step 20 has distance 9 on the test set" in text


def test_every_logged_metric_is_drawn_where_the_task_names_none(tmp_path, monkeypatch):
    monkeypatch.setattr(PointTask, "curves", ())
    lines = [line | {"angle_error": 3.0} for line in _regression_lines()]
    text = _page(tmp_path, fake_regression(), lines=lines)
    assert ">Distance</h3>" in text and ">Angle error</h3>" in text


def test_sections_with_an_anchor_that_is_taken_are_refused(tmp_path, monkeypatch):
    network = fake_regression()
    whole = network.task.report_sections(network.evaluated())
    taken = dataclasses.replace(whole.sections[0], anchor="curves")
    monkeypatch.setattr(
        PointTask, "report_sections", lambda *_: dataclasses.replace(whole, sections=(taken,))
    )
    with pytest.raises(ValueError, match="'curves' of the section 'Points' is taken"):
        _page(tmp_path, network)


def test_parts_of_an_unknown_kind_are_refused():
    unknown: Any = sections.Bar("bar", 0.5)
    section = sections.Section("points", "Points", "", (unknown,))
    with pytest.raises(TypeError, match="holds a Bar; give Table, Chart"):
        draw_section(section)


def test_names_from_the_run_are_escaped(tmp_path):
    text = _page(tmp_path, fake_network())
    assert "train &lt;it&gt;" in text and "train <it>" not in text


def test_write_report_leaves_one_page(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "load", lambda *_, **__: fake_network())
    write_run_folder(tmp_path)
    path = reports.write_report(str(tmp_path))
    assert path == tmp_path / "report.html"
    assert path.read_text().startswith("<!doctype html>")
    assert len(list(tmp_path.iterdir())) == 4


def test_folders_without_a_run_are_refused(tmp_path):
    with pytest.raises(RunFolderError, match="is not a folder"):
        reports.write_report(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match=r"config\.json is missing"):
        reports.write_report(tmp_path)
    write_run_folder(tmp_path, lines=[])
    with pytest.raises(RunFolderError, match="holds no metrics yet"):
        reports.write_report(tmp_path)


def test_missing_packages_are_named_before_any_work(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "jinja2" else found(name)
    )
    with pytest.raises(ImportError, match=r'jinja2, which is not installed.*"cnnjax\[report\]"'):
        reports.write_report(tmp_path / "nowhere")


def test_a_split_without_examples_is_refused(tmp_path):
    network = fake_regression(count=4)
    network.predictions = network.predictions[:0]
    with pytest.raises(ValueError, match="no example of the test split was evaluated"):
        _page(tmp_path, network)


def test_a_network_that_predicts_nan_has_a_page(tmp_path):
    network = fake_network(classes=3, count=12)
    network.predictions = np.full_like(network.predictions, np.nan)
    text = _page(tmp_path, network)
    _Elements(text)
    assert "0 of 12 images right" in _text(text)
