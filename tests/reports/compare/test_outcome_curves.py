"""Charts of a study's outcomes against numbers."""

import copy

import pytest

from cnnjax.reports.compare.outcome_curves import curve_charts
from cnnjax.studies.curves import outcome_curves
from tests.studies.test_curves import a_study, error, results_of


@pytest.fixture(scope="module")
def curves():
    return [curve.as_json() for curve in outcome_curves(results_of(a_study(), error))]


def test_an_outcome_is_one_chart_with_a_line_for_each_setting(curves):
    (chart,) = curve_charts(curves, {"error": "%"}, {"error": "of <images>"})
    assert chart["title"] == "Error against images"
    assert [entry.label for entry in chart["key"]] == ["kind-plain", "kind-resnet"]
    assert "of <images> The line is a power law" in chart["caption"]
    svg = dict(chart["views"])["logarithmic"]
    for line in range(2):
        assert f"line{3 * line}" in svg or f"line{2 * line}" in svg
    assert "error, %" in svg and "fit of kind-plain" in svg


def damaged(curves, change):
    changed = copy.deepcopy(curves)
    change(changed[0])
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda curve: curve.pop("points"),
        lambda curve: curve.update(points=[]) or curve.update(fit=None),
        lambda curve: curve["points"][0].update(x="a"),
        lambda curve: curve["fit"].update(low=3),
        lambda curve: curve["fit"]["low"].pop(),
        lambda curve: curve["fit"]["y"].append("a") or curve["fit"]["x"].append(1),
        lambda curve: curve["fit"].pop("start"),
        lambda curve: curve.update(name=7),
    ],
)
def test_a_damaged_entry_is_left_out(curves, change):
    (chart,) = curve_charts(damaged(curves, change), {}, {})
    assert [entry.label for entry in chart["key"]] == ["kind-resnet"]
