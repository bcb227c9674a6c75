import json
import re

import pytest

from cnnjax import models
from cnnjax.analysis.cost.complexity import (
    ComplexityPoint,
    complexity_chart,
    complexity_points,
)
from cnnjax.reports import complexity_page
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


def _point(name, error, multiply_adds, parameters, memory):
    return ComplexityPoint(name, error, "top-1", "source", multiply_adds, parameters, memory)


@pytest.mark.parametrize("area", ["memory", "parameters"])
def test_circles_are_at_their_figures_and_their_areas_are_to_scale(area):
    points = [
        _point("big1", 20.0, 4 * 10**9, 40_000_000, 400_000_000),
        _point("small1", 30.0, 10**9, 10_000_000, 200_000_000),
    ]
    axes = complexity_chart(points, area, "top-5").axes[0]
    circles = [c for c in axes.collections if len(c.get_offsets())]
    # The largest is drawn first, beneath the others.
    assert [tuple(c.get_offsets()[0]) for c in circles] == [(4.0, 80.0), (1.0, 70.0)]
    sizes = [float(c.get_sizes()[0]) for c in circles]
    assert sizes[0] / sizes[1] == pytest.approx(2 if area == "memory" else 4)
    assert axes.get_ylabel() == "top-5 accuracy, %" and axes.get_xscale() == "log"
    colors = {tuple(c.get_facecolor()[0]) for c in circles}
    assert len(colors) == 2


def test_an_unknown_area_is_refused():
    with pytest.raises(ValueError, match="area 'volume' is not known; there are"):
        complexity_chart([], "volume")  # pyright: ignore[reportArgumentType]


def test_the_end_of_a_script_in_a_name_does_not_end_the_page(tmp_path):
    point = _point("</script><b>", 20.0, 10**9, 10**7, 10**8)
    text = write_complexity_page(tmp_path / "chart.html", {"top-1": [point]}).read_text()
    assert "</script><b>" not in text and text.count("</script>") == 1
    (figures,) = re.findall(r"const figures = (.*);", text)
    held = json.loads(figures)
    assert held["top-1"][0]["name"] == "</script><b>"


def test_memory_is_of_parameters_and_outputs_in_float32():
    """The numbers of parameters and of values are those of CS231n's table of VGG-16."""
    (point,) = complexity_points("top-1", ["vgg16"])
    assert point.memory == 4 * (138_357_544 + 15_237_608)


def test_the_command_writes_the_page_of_every_measure(tmp_path, monkeypatch, capsys):
    asked = []

    def points(measure):
        asked.append(measure)
        return [_point(f"net of {measure}", 20.0, 10**9, 10**7, 10**8)]

    monkeypatch.setattr(complexity_page, "complexity_points", points)
    complexity_page.main([str(tmp_path / "page.html")])
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}\n"
    text = (tmp_path / "page.html").read_text()
    assert asked == ["top-1", "top-5", "CIFAR-10"]
    assert all(f"<td>net of {measure}</td>" in text for measure in asked)
