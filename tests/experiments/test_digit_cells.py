"""The search over cells of the digits: what it describes, and what it refuses."""

import pytest

from cnnjax import search
from experiments import digit_cells


def test_all_strategies_have_the_same_budget():
    searches = [digit_cells.make_search(name) for name in digit_cells.STRATEGIES]
    described = [{**each.describe(), "strategy": None} for each in searches]
    assert described[0] == described[1] == described[2]
    assert {each.evaluations for each in searches} == {60}
    # (2 inputs x 8 operations)² for the first node, (3 x 8)² for the second; two cells.
    assert searches[0].space.size == (16**2 * 24**2) ** 2


def test_too_many_processes_end_with_a_message(tmp_path, monkeypatch, capsys):
    arguments = ["digit_cells", f"--workdir={tmp_path / 'a'}", "--jobs=5"]
    monkeypatch.setattr("sys.argv", arguments)
    assert digit_cells.main() == 1
    assert "search.ahead=4" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_the_search_is_written_with_its_examples_named():
    described = digit_cells.make_search().describe()
    assert described["evaluator"]["load"] == "cnnjax.search.table.digits:digit_sets"
    with pytest.raises(search.GenomeError, match="another space"):
        digit_cells.make_search().net(search.parse_genome("normal: identity(0)"))
