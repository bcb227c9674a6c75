"""Compares searches on the table of all cells: writes docs/results/cells.md and its pictures.

    python -m scripts.cell_results [--search=runs/digit_cells]

The rule was written before the table was made. Evolution (population 20, samples of 5) is compared
with random search over 500 repetitions, seeds 0 to 499 for both, after 50 and after 100
evaluations. What is compared is the regret: by how much the mean validation accuracy of the cell
that would be chosen is below that of the known optimum. REINFORCE is compared with random search
after 100. Holm's correction makes a false claim among the three as rare as 5 %.
"""

import argparse
import json
import pathlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from cnnjax import search, studies
from cnnjax.analysis.plots.courses import plot_courses, plot_tradeoff
from cnnjax.extras import installed_with
from cnnjax.search.loop.folder import CellFolder
from cnnjax.writing import aside, write_json, write_text

DOCS = pathlib.Path(__file__).parents[1] / "docs"

REPETITIONS, EVALUATIONS = 500, 100

STRATEGIES: Mapping[str, search.Strategy] = {
    "random": search.RandomSearch(),
    "evolution": search.Evolution(),
    "reinforce": search.Reinforce(),
    "evolution, pareto": search.Evolution(objective="pareto"),
}

COMPARISONS = (("evolution", 50), ("evolution", 100), ("reinforce", 100))
"""What is compared with random search, and after how many evaluations."""


def compare(courses: Mapping[str, search.Courses]) -> list[dict[str, Any]]:
    """Returns the decisions on the comparisons.

    Args:
        courses: by strategy.
    """
    with installed_with("train"):
        from scipy import stats

    drawn = courses["random"]
    pairs = [
        (drawn.regret[:, at - 1] - courses[name].regret[:, at - 1], 0.0) for name, at in COMPARISONS
    ]
    decided = studies.decide_together([(list(p), least) for p, least in pairs])
    found = []
    for (name, at), decision in zip(COMPARISONS, decided, strict=True):
        shares = {}
        for each in (name, "random"):
            hits = int((courses[each].regret[:, at - 1] == 0).sum())
            interval = stats.binomtest(hits, len(drawn.regret)).proportion_ci()
            shares[each] = [hits, float(interval.low), float(interval.high)]
        test = courses[name].test[:, at - 1] - drawn.test[:, at - 1]
        found.append(
            {
                "strategy": name,
                "evaluations": at,
                "regret": {
                    each: float(courses[each].regret[:, at - 1].mean()) for each in (name, "random")
                },
                "difference": asdict(decision),
                "optimum_found": shares,
                "test_difference": asdict(studies.decide(list(test))),
            }
        )
    return found


def row(each: Mapping[str, Any]) -> str:
    """Returns a comparison as a row of the page's table, in percentage points.

    Args:
        each: the comparison.
    """

    def points(decided: Mapping[str, Any]) -> str:
        mean, low, high = (100 * decided[name] for name in ("mean", "low", "high"))
        return f"{mean:.3f} [{low:.3f}, {high:.3f}]"

    def share(name: str) -> str:
        hits, low, high = each["optimum_found"][name]
        pairs = each["difference"]["pairs"]
        return f"{100 * hits / pairs:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"

    name, regret = each["strategy"], each["regret"]
    decided = each["difference"]
    cells = (
        *(name, each["evaluations"], f"{100 * regret[name]:.3f}", f"{100 * regret['random']:.3f}"),
        *(points(decided), decided["decision"], share(name), share("random")),
        points(each["test_difference"]),
    )
    return f"| {' | '.join(map(str, cells))} |"


def page(table: search.CellTable, found: list[dict[str, Any]], searched: str) -> str:
    """Returns the page of results.

    Args:
        table: the table.
        found: the decisions.
        searched: the part on a search that trains; "" for none.
    """
    best = table.best
    environment = table.content.environment
    versions = ", ".join(f"{name} {value}" for name, value in environment["versions"].items())
    seconds = sum(cell.seconds for cell in table.cells)
    accuracies = sorted(table.accuracy(cell.genome) for cell in table.cells)
    low, middle, high = (accuracies[n] for n in (0, len(accuracies) // 2, -1))
    return "\n".join(
        [
            "# Searches over cells",
            "",
            "Written by `python -m scripts.cell_results`; do not edit. The table was made by "
            f"`python -m scripts.cell_table`: {environment['devices']}, {environment['machine']}, "
            f"{versions}; {seconds / 60:.0f} minutes of one core in all.",
            "",
            f"{len(table.cells)} cells, three trainings each. Mean validation accuracy: worst "
            f"{low:.4f}, middle {middle:.4f}, best {high:.4f}. The known optimum, with a mean test "
            f"accuracy of {table.accuracy(best.genome, 'test'):.4f} and {best.multiply_adds:,} "
            "multiply-adds:",
            "",
            f"    {best.genome}",
            "",
            f"Against random search, {REPETITIONS} repetitions each, in percentage points. The "
            "regret is the mean validation accuracy of the optimum minus that of the chosen cell; "
            "a positive difference is better than random search. Intervals: Student's t on paired "
            "seeds with Holm's correction; Clopper and Pearson's for shares.",
            "",
            "| strategy | evaluations | regret | of random search | difference | it is better | "
            "found the optimum | random search found it | test accuracy, difference |",
            "|---|--:|--:|--:|--:|---|--:|--:|--:|",
            *map(row, found),
            "",
            "![Mean regret over evaluations, random search above evolution.]"
            "(../pictures/cells_regret.png)",
            "",
            "![Validation accuracy over multiply-adds of all cells, with the Pareto front.]"
            "(../pictures/cells_tradeoff.png)",
            "",
            searched,
        ]
    )


def searched(workdir: str) -> str:
    """Returns the page's part on a search that trains, and draws it.

    Args:
        workdir: the search's folder, finished.
    """
    folder = CellFolder(workdir)
    history = list(folder.history().values())
    text = (pathlib.Path(workdir) / "results.md").read_text()
    scores = np.maximum.accumulate([each.score for each in history])
    pairs = {
        "all evaluations": [(each.multiply_adds, each.score) for each in history],
        "Pareto front": [(each.multiply_adds, each.score) for each in search.pareto_front(history)],
    }
    draw("cells_search", plot_tradeoff(pairs, "validation accuracy", joined=["Pareto front"]))
    minutes = sum(each.seconds for each in history) / 60
    lines = text.replace("# A search over cells", "## A search that trains").rstrip()
    return (
        f"{lines}\n\n`python -m experiments.digit_cells`: {len(history)} trainings took "
        f"{minutes:.0f} minutes of wall time, added up over processes. The best score was "
        f"{scores[14]:.4f} after the 15 cells that were drawn, and {scores[-1]:.4f} at the end.\n\n"
        "![Validation accuracy over multiply-adds of the evaluated cells.]"
        "(../pictures/cells_search.png)\n"
    )


def draw(name: str, figure: Any) -> None:
    """Writes a picture of the documentation.

    Args:
        name: of its file.
        figure: what is drawn.
    """
    with aside(DOCS / "pictures" / f"{name}.png") as path:
        figure.savefig(path, dpi=110, format="png")


def draw_table(table: search.CellTable, courses: Mapping[str, search.Courses]) -> None:
    """Draws the regret of the strategies, and the cells of the table.

    Args:
        table: the table.
        courses: by strategy.
    """
    regrets = {name: 100 * courses[name].regret for name in ("random", "reinforce", "evolution")}
    draw("cells_regret", plot_courses(regrets, "mean regret in points", log=True))
    every = [
        search.Evaluated(n, cell.genome, table.accuracy(cell.genome), cell.multiply_adds)
        for n, cell in enumerate(table.cells)
    ]
    front = search.pareto_front(every)
    history = search.search_in_memory(
        STRATEGIES["evolution, pareto"],
        table.space,
        lambda number, genome: table.evaluate(number, genome, 0),
        EVALUATIONS,
    )
    # By mean accuracies, and not by the single trainings that the search has seen.
    chosen = {each.genome for each in search.pareto_front(history)}
    pairs = {
        "all cells": [(each.multiply_adds, each.score) for each in every],
        "Pareto front": [(each.multiply_adds, each.score) for each in front],
        f"found in {EVALUATIONS} evaluations": [
            (table.cell(genome).multiply_adds, table.accuracy(genome)) for genome in chosen
        ],
    }
    draw(
        "cells_tradeoff",
        plot_tradeoff(pairs, "mean validation accuracy", joined=["Pareto front"]),
    )


def main() -> None:
    """Compares, draws and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--search", default="", help="folder of a finished search that trains")
    given = parser.parse_args()
    table = search.CellTable()
    courses = search.repeat_on_table(
        table, STRATEGIES, evaluations=EVALUATIONS, seeds=range(REPETITIONS)
    )
    found = compare(courses)
    draw_table(table, courses)
    part = searched(given.search) if given.search else ""
    write_json(DOCS / "results" / "cells.json", {"comparisons": found})
    write_text(DOCS / "results" / "cells.md", page(table, found, part))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
