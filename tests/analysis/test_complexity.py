import json
import re

import pytest

from cnnjax import models
from cnnjax.analysis.cost.complexity import complexity_chart, complexity_points
from cnnjax.reports.complexity_page import write_complexity_page

NAMES = ["resnet18", "vgg11", "resnet20_cifar", "googlenet"]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("top-1", {"resnet18": 27.88, "vgg11": 29.6}),
        ("top-5", {"vgg11": 10.4, "googlenet": 10.07}),
        ("CIFAR-10", {"resnet20_cifar": 8.75}),
    ],
)
def test_published_errors_are_read_from_the_registry(measure, expected):
    points = complexity_points(measure, NAMES)
    assert {p.name: p.error for p in points} == expected
    assert [p.multiply_adds for p in points] == sorted(p.multiply_adds for p in points)
    for point in points:
        assert point.parameters == models.model_info(point.name).parameters


def test_unknown_measures_are_refused():
    with pytest.raises(ValueError, match="'top-3' is not known"):
        complexity_points("top-3")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("area", ["memory", "parameters"])
def test_chart_names_every_network_without_overlap(area):
    points = complexity_points("top-1", ["resnet18", "vgg11"])
    figure = complexity_chart(points, area)
    labels = [text for text in figure.axes[0].texts if text.get_text()]
    assert {label.get_text() for label in labels} == {"resnet18", "vgg11"}


def test_page_holds_the_figures_and_needs_nothing_else(tmp_path):
    points = {"top-1": complexity_points("top-1", ["resnet18"])}
    text = write_complexity_page(tmp_path / "chart.html", points).read_text()
    (figures,) = re.findall(r"const figures = (.*);", text)
    held = json.loads(figures)
    assert held["top-1"][0]["multiply_adds"] == 1_814_073_344
    assert "1,814,073,344" in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
