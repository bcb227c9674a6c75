"""The comparison of searches on the table: its decisions and its page."""

import dataclasses

import numpy as np
import pytest

from cnnjax import search
from scripts import cell_results
from tests.search.table.made_up import made_up_cells


def courses(better):
    """Returns courses of 40 repetitions, of which one strategy is better by a margin."""
    random = np.random.default_rng(0)
    drawn = 0.02 + random.normal(0, 0.002, (40, 100))
    found = np.where(np.arange(40)[:, None] < 10, 0.0, drawn - better)
    return {
        "random": search.Courses(drawn, 0.9 - drawn),
        "evolution": search.Courses(found, 0.9 - found),
        "reinforce": search.Courses(drawn + 0.001, 0.9 - drawn),
    }


@pytest.fixture
def table():
    environment = {"versions": {"jax": "0"}, "devices": "none", "machine": "none"}
    return search.CellTable(dataclasses.replace(made_up_cells(), environment=environment))


def test_what_is_better_is_supported_and_what_is_worse_is_not(table):
    first, second, reinforce = cell_results.compare(courses(0.004))
    assert (first["evaluations"], second["evaluations"]) == (50, 100)
    for each in (first, second):
        assert each["difference"]["decision"] == "supported"
        assert each["difference"]["pairs"] == 40
        assert each["optimum_found"]["evolution"][0] == 10
        assert each["optimum_found"]["random"][0] == 0
        # Clopper and Pearson: of no hit in 40 the upper end is 1 - 0.025^(1/40).
        assert each["optimum_found"]["random"][2] == pytest.approx(1 - 0.025 ** (1 / 40))
    assert reinforce["difference"]["mean"] == pytest.approx(-0.001)
    assert reinforce["difference"]["decision"] != "supported"


def test_the_page_has_the_table_and_each_comparison(table):
    text = cell_results.page(table, cell_results.compare(courses(0.004)), "")
    assert str(table.best.genome) in text
    rows = [line for line in text.splitlines() if line.startswith(("| evolution", "| reinforce"))]
    assert len(rows) == 3
    assert "| supported | 25.0 % [" in rows[0]
    assert "| 0.0 % [0.0, 8.8] |" in rows[0]
