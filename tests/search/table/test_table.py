import dataclasses
import json

import numpy as np
import pytest

from cnnjax import search
from cnnjax.search.table import make
from cnnjax.search.table.digits import digit_sets
from cnnjax.search.table.make import describe_table, make_table
from cnnjax.search.table.table import SPACE, Cells, MeasuredCell, read_cells, write_cells
from tests.search.table.made_up import made_up_cells


@pytest.fixture(scope="module")
def table():
    return search.CellTable(made_up_cells())


def test_a_written_table_is_read_back(tmp_path):
    cells = made_up_cells()
    write_cells(tmp_path / "table.json", cells)
    assert read_cells(tmp_path / "table.json") == cells
    lines = (tmp_path / "table.json").read_text().splitlines()
    assert len([line for line in lines if "genome" in line]) == 315


def test_the_three_sets_share_no_example():
    sets = digit_sets()
    sizes = [len(labels) for _, labels in sets]
    assert sizes == [837, 600, 360]
    images = np.concatenate([images.reshape(len(images), -1) for images, _ in sets])
    # All of scikit-learn's 1,797 images are different.
    assert len(np.unique(images, axis=0)) == sum(sizes) == 1797
    assert images.min() == 0 and images.max() == 1


def test_a_table_is_completed_after_a_stop(tmp_path, monkeypatch):
    path, measured = tmp_path / "folder" / "table.json", []

    def measure(genome, training):
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(genome)
        return MeasuredCell(genome, (1,), (1,), 1, 1, 0.0)

    monkeypatch.setattr(make, "measure_cell", measure)
    wanted = SPACE.distinct()[:5]
    with pytest.raises(KeyboardInterrupt):
        make_table(path, genomes=wanted)
    assert len(read_cells(path).cells) == 3
    measured.clear()
    table = make_table(path, genomes=wanted)
    assert len(measured) == 2
    assert [cell.genome for cell in table.cells] == wanted
    assert table == read_cells(path)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda text: text[:100], "is damaged: it is not JSON"),
        (lambda text: text.replace('"validation": [', '"validation": [-'), "cell 0: 'validation'"),
        (lambda text: text.replace('"cells"', '"rows"'), "'cells' is missing"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, spoil, problem):
    cells = made_up_cells()
    write_cells(tmp_path / "table.json", dataclasses.replace(cells, cells=cells.cells[:2]))
    (tmp_path / "table.json").write_text(spoil((tmp_path / "table.json").read_text()))
    with pytest.raises(search.SearchError, match=problem):
        read_cells(tmp_path / "table.json")


def test_another_table_is_not_completed(tmp_path):
    path = tmp_path / "table.json"
    write_cells(path, Cells(describe_table(search.QuickTraining(epochs=1))))
    with pytest.raises(search.SearchError, match=r"training\.epochs is 1 there, 20 here"):
        make_table(path, genomes=[])
    with pytest.raises(search.SearchError, match="jobs: 0"):
        make_table(path, jobs=0)


def test_a_missing_or_incomplete_table_is_named(tmp_path):
    with pytest.raises(search.SearchError, match="make it with"):
        read_cells(tmp_path / "none.json")
    cells = made_up_cells()
    with pytest.raises(search.SearchError, match="lacks 1 cells, such as normal: "):
        search.CellTable(dataclasses.replace(cells, cells=cells.cells[1:]))


def test_every_genome_finds_its_cell(table):
    genome = search.parse_genome("normal: identity(0)+conv_3x3(0) | max_3x3(1)+identity(0)")
    other = search.parse_genome("normal: conv_3x3(0)+identity(0) | identity(0)+max_3x3(1)")
    assert table.cell(genome) is table.cell(other)
    counts = table.cell(genome).validation
    assert table.accuracy(genome) == pytest.approx(sum(counts) / 3 / 600)
    with pytest.raises(search.GenomeError, match="another space"):
        table.cell(search.parse_genome("normal: identity(0)"))


def test_an_evaluation_is_one_of_the_three_trainings(table):
    genome = table.best.genome
    scores = {table.evaluate(number, genome, seed=0).score for number in range(40)}
    assert scores == {count / 600 for count in table.best.validation}
    assert table.evaluate(3, genome, seed=5) == table.evaluate(3, genome, seed=5)


def test_courses_follow_the_chosen_cell(table):
    strategies = {"random": search.RandomSearch(), "evolution": search.Evolution()}
    courses = search.repeat_on_table(table, strategies, evaluations=60, seeds=range(20))
    for name, course in courses.items():
        assert course.regret.shape == course.test.shape == (20, 60)
        assert course.regret.min() >= 0
        history = search.search_in_memory(
            strategies[name],
            table.space,
            lambda number, genome: table.evaluate(number, genome, 7),
            60,
            seed=7,
        )
        chosen = max(history[:30], key=lambda each: (each.score, -each.number))
        best = table.accuracy(table.best.genome)
        assert course.regret[7, 29] == pytest.approx(best - table.accuracy(chosen.genome))
        assert course.test[7, 29] == table.accuracy(chosen.genome, "test")
    # The figures are made up so that good cells are near each other.
    last = {name: course.regret[:, -1].mean() for name, course in courses.items()}
    assert last["evolution"] < last["random"]


@pytest.mark.slow
def test_a_measured_cell_is_measured_again_alike():
    genome = SPACE.distinct()[0]
    training = search.QuickTraining(epochs=2, batch_size=93, learning_rate=0.01)
    first, again = (make.measure_cell(genome, training) for _ in range(2))
    assert dataclasses.replace(first, seconds=0) == dataclasses.replace(again, seconds=0)
    # Far better than chance after 18 steps.
    assert min(first.validation) > 150
    assert json.loads(json.dumps(first.validation)) == list(first.validation)
