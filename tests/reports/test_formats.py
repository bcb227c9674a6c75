"""Numbers, times and names as a page shows them."""

import pytest

from cnnjax.reports.formats import (
    breakable,
    compact,
    duration,
    metric_value,
    sentence,
    size,
    within_a_sentence,
)
from cnnjax.reports.template import fill


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.12345, "0.123"),
        (12.345, "12.3"),
        (999.4, "999"),
        (999.6, "1,000"),
        (1234.5, "1,234"),
        (-0.5, "-0.5"),
        (-2_500_000.0, "-2,500,000"),
        (0.0000012, "1.2e-06"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_have_three_significant_digits(value, text):
    assert compact(value) == text


def test_shares_are_in_per_cent_and_other_metrics_are_not():
    assert metric_value(0.8833, in_percent=True) == "88.33 %"
    assert metric_value(0.8833, in_percent=False) == "0.883"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (99.9, "99.9 s"),
        (100, "1 min 40 s"),
        (119.6, "2 min 00 s"),
        (3599.6, "1 h 00 min"),
        (3 * 3600 + 5 * 60 + 59, "3 h 05 min"),
    ],
)
def test_times_are_in_suitable_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1000, "1000 bytes"),
        (1024, "1 KiB"),
        (int(999.7 * 1024), "1000 KiB"),
        (1_572_864, "1.5 MiB"),
        (138_357_544 * 4, "528 MiB"),
        (5 * 1024**4, "5120 GiB"),
    ],
)
def test_bytes_are_in_suitable_units(count, text):
    assert size(count) == text


def test_only_the_first_letter_is_raised():
    assert sentence("top5 error of CIFAR") == "Top5 error of CIFAR"
    assert sentence("") == ""


def test_names_break_after_dots_and_underscores_and_are_escaped():
    assert str(breakable("a.b_c")) == "a.<wbr>b_<wbr>c"
    assert str(breakable("<b>.x")) == "&lt;b&gt;.<wbr>x"


def test_a_template_refuses_to_leave_a_value_out():
    import jinja2

    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        fill("network.html", photos={"cards": []})


@pytest.mark.parametrize(
    ("title", "expected"),
    [("Mean IoU", "mean IoU"), ("AP", "AP"), ("Top-5 error", "top-5 error"), ("Loss", "loss")],
)
def test_a_title_within_a_sentence_keeps_its_abbreviations(title, expected):
    assert within_a_sentence(title) == expected
