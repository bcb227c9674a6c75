import json
import os
import signal

import flax.linen as linen
import pytest

from cnnjax import analysis, models, search
from cnnjax.models.registry import MODELS
from cnnjax.search.loop.cell_search import CellSearch
from cnnjax.search.loop.export import export_cell
from cnnjax.search.loop.folder import CellFolder
from cnnjax.search.loop.run_cell_search import format_cells, run_cell_search
from cnnjax.search.loop.worker import CellOptions
from cnnjax.search.strategies.strategy import propose_at
from cnnjax.search.table.table import SPACE
from cnnjax.training import RunFolderError
from tests.helpers.processes import start_python
from tests.helpers.registries import keep_as_it_is
from tests.search.loop.made_up import MadeUp, make_search

QUICK = CellOptions(poll_seconds=0.05)


@pytest.fixture
def costless(monkeypatch):
    """Counting a network's multiply-adds takes longer than a made-up evaluation."""

    def cost(self, genome):
        count = str(genome).count("conv")
        return search.NetCost(1000 + 100 * count, 10)

    monkeypatch.setattr(CellSearch, "cost", cost)
    monkeypatch.setattr(analysis, "diagram", lambda net, size: "<svg/>")


def scores(results):
    return [(each.number, each.genome, each.score) for each in results.history]


def test_a_search_chooses_tests_once_and_writes_what_it_found(tmp_path, costless):
    notes = tmp_path / "notes"
    made = make_search(evaluator=MadeUp(notes=str(notes)))
    results = run_cell_search(made, tmp_path / "search", options=QUICK)
    assert [each.number for each in results.history] == list(range(12))
    best = max(each.score for each in results.history)
    first = next(each for each in results.history if each.score == best)
    assert (results.choice.number, results.choice.genome) == (first.number, first.genome)
    assert results.tested[0]["accuracy"] == pytest.approx(best)
    assert results.tested[1]["accuracy"] == pytest.approx(best - 0.01)
    # Started again, it only reads.
    again = run_cell_search(made, tmp_path / "search", options=QUICK)
    assert again == results
    assert len(notes.read_text().split()) == 12 + 2
    page = (tmp_path / "search" / "results.md").read_text()
    assert page == format_cells(results)
    assert f"score on held-out examples, {best:.4f}" in page
    assert (tmp_path / "search" / "best" / "best_cell.py").exists()


def test_the_history_is_a_function_of_seed_and_ahead(tmp_path, costless):
    made = make_search(ahead=3)
    results = run_cell_search(made, tmp_path, options=QUICK)
    for number in (0, 5, 11):
        known = results.history[: max(0, number - 2)]
        proposed = propose_at(made.strategy, SPACE, known, number, seed=0, ahead=3)
        assert proposed == results.history[number].genome


def test_a_damaged_evaluation_is_named(tmp_path, costless):
    made = make_search()
    before = run_cell_search(made, tmp_path, options=QUICK)
    path = tmp_path / "evaluations" / "00003.json"
    path.write_text(path.read_text()[:20])
    with pytest.raises(RunFolderError, match=r"00003\.json is damaged.*is evaluated again"):
        run_cell_search(made, tmp_path, options=QUICK)
    path.unlink()
    assert scores(run_cell_search(made, tmp_path, options=QUICK)) == scores(before)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"strategy": search.RandomSearch()}, "strategy.name is Evolution there"),
        ({"network": {"stages": 3, "width": 2}}, "network.stages is 2 there, 3 here"),
        ({"evaluations": 20}, "has chosen the best of 12 cells already"),
    ],
)
def test_a_folder_of_another_search_is_refused(tmp_path, costless, changes, named):
    run_cell_search(make_search(), tmp_path, options=QUICK)
    with pytest.raises(RunFolderError, match=named):
        run_cell_search(make_search(**changes), tmp_path, options=QUICK)


def test_a_folder_of_something_else_is_refused(tmp_path, costless):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"other files, such as config\.json"):
        run_cell_search(make_search(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"evaluations": 4}, "do not go beyond the first population of 4"),
        ({"evaluations": 0}, "from 1 on"),
        ({"ahead": 0}, "search.ahead: 0"),
        ({"seed": -1}, "search.seed: -1"),
        ({"final_seeds": ()}, "final_seeds: none"),
        ({"evaluator": len}, "give a search.QuickEvaluator"),
    ],
)
def test_impossible_searches_are_refused(changes, problem):
    with pytest.raises(search.SearchError, match=problem):
        make_search(**changes)


def test_more_jobs_than_evaluations_under_way_are_refused(tmp_path):
    with pytest.raises(search.SearchError, match=r"3 processes.*search\.ahead=2"):
        run_cell_search(make_search(), tmp_path / "search", jobs=3)
    with pytest.raises(search.SearchError, match="jobs: 0"):
        run_cell_search(make_search(), tmp_path / "search", jobs=0)
    assert not (tmp_path / "search").exists()


def test_an_impossible_bound_is_refused_before_anything_is_written(tmp_path):
    space = search.CellSpace(("conv_3x3", "identity"), nodes=1, inputs=1, reduction=False)
    made = make_search(most_multiply_adds=10, space=space, network={"stages": 1, "width": 2})
    # The stem, a 1x1 convolution and the classifier.
    cheapest = 64 * 9 * 2 + 64 * 2 * 2 + 2 * 10
    named = rf"even normal: identity\(0\)\+identity\(0\) takes {cheapest:,}; give more"
    with pytest.raises(search.SearchError, match=named):
        run_cell_search(made, tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_cells_beyond_the_bound_are_not_proposed(tmp_path, costless):
    made = make_search(most_multiply_adds=1100)
    results = run_cell_search(made, tmp_path, options=QUICK)
    assert max(each.multiply_adds for each in results.history) == 1100


def test_a_cell_that_cannot_be_evaluated_is_named_and_tried_again(tmp_path, costless, monkeypatch):
    def broken(self, net, number, folder):
        raise ZeroDivisionError("no pixels")

    with monkeypatch.context() as patch:
        patch.setattr(MadeUp, "score", broken)
        with pytest.raises(search.SearchError, match=r"cell 0, normal.*ZeroDivisionError: no pix"):
            run_cell_search(make_search(), tmp_path, options=QUICK)
    assert len(run_cell_search(make_search(), tmp_path, options=QUICK).history) == 12


def test_costs_are_those_of_the_network():
    made = make_search()
    genome = search.parse_genome("normal: conv_3x3(0)+identity(0) | max_3x3(1)+identity(0)")
    cost = made.cost(genome)
    # Two stages on 8x8 and 4x4 pixels with 2 and 4 channels.
    stem, classifier = 9 * 2, 4 * 10
    kernels = (2 * 2 + 9 * 2 * 2, 2 * 4 + 9 * 4 * 4)
    norms = 2 * 2 + 2 * (2 + 2) + 2 * (4 + 4)
    assert cost.parameters == stem + sum(kernels) + classifier + 10 + norms
    assert cost.multiply_adds == 64 * stem + 64 * kernels[0] + 16 * kernels[1] + classifier


def test_the_best_cell_becomes_a_registered_model(tmp_path, monkeypatch):
    keep_as_it_is(MODELS, monkeypatch)
    made = make_search()
    genome = search.parse_genome("normal: conv_3x3(0)+identity(0) | max_3x3(1)+identity(0)")
    path = export_cell(made, genome, tmp_path / "best", "small_cells")
    space = {}
    exec(compile(path.read_text(), path, "exec"), {"__name__": "small_cells", **space})
    net = models.create_model("small_cells", num_classes=7)
    expected = made.net(genome).clone(num_classes=7)
    assert isinstance(net, linen.Module) and net == expected
    assert models.model_info("small_cells").input_size == (8, 8, 1)
    picture = (tmp_path / "best" / "small_cells.svg").read_text()
    assert picture.startswith("<svg") and "conv_3x3" in picture
    made.register("by_register", genome)
    assert models.create_model("by_register") == made.net(genome)
    with pytest.raises(search.SearchError, match="can't be a function's"):
        export_cell(made, genome, tmp_path, "small cells")


def start(workdir, number, jobs=1):
    return start_python("-m", "tests.search.loop.made_up", workdir, str(number), str(jobs))


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


@pytest.mark.slow
@pytest.mark.process
def test_a_killed_search_goes_on_exactly_with_two_processes(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finish(start(undisturbed, -1))
    for number in (3, 7):
        process = start(killed, number)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("waiting"):
                process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, errors
    finish(start(killed, -1, jobs=2))

    def known(workdir):
        files = sorted((workdir / "evaluations").iterdir())
        values = [json.loads(file.read_text()) for file in files]
        return [(each["genome"], each["score"]) for each in values]

    assert known(killed) == known(undisturbed)
    assert len(known(killed)) == 12
    # Each evaluation once, but for the two that were killed, and two final trainings.
    assert len((tmp_path / "killed.notes").read_text().split()) == 12 + 2 + 2
    assert CellFolder(killed).choice() == CellFolder(undisturbed).choice()
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1:
        owners = {json.loads(f.read_text())["process"] for f in (killed / "evaluations").iterdir()}
        assert len(owners) > 2
