r"""Evolves the cells of a small network on the digits; the best is trained anew and tested once.

python -m experiments.digit_cells --workdir=runs/digit_cells --jobs=2

A normal and a reduction cell of two nodes each are searched for, among eight operations: 22 billion
genomes. Sixty cells are trained on 837 digits and compared on 600 others. The chosen one is
trained from scratch on all 1,437, with three seeds, and scored on the 360 test digits. With
`--strategy=random` the cells are drawn instead, in the same budget.
"""

import argparse
import logging
import sys

from cnnjax import search, training
from cnnjax.search.table.digits import IMAGE_SIZE, digit_sets

STRATEGIES = {
    "evolution": search.Evolution(population=15, sample=5),
    "random": search.RandomSearch(),
    "reinforce": search.Reinforce(),
}


def make_search(strategy: str = "evolution") -> search.CellSearch:
    """Returns the search.

    Args:
        strategy: a name of `STRATEGIES`.
    """
    return search.CellSearch(
        space=search.CellSpace(nodes=2, inputs=2),
        evaluator=search.QuickEvaluator(
            digit_sets,
            search.QuickTraining(epochs=12, batch_size=93),
            final=search.QuickTraining(epochs=60, batch_size=93),
        ),
        input_size=IMAGE_SIZE,
        network={"stages": 2, "width": 6},
        strategy=STRATEGIES[strategy],
        evaluations=60,
        ahead=4,
    )


def main() -> int:
    """Runs the search that the command's arguments describe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workdir", required=True, help="the search's folder")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--strategy", choices=sorted(STRATEGIES), default="evolution")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("cnnjax").setLevel(logging.INFO)
    try:
        found = search.run_cell_search(make_search(given.strategy), given.workdir, jobs=given.jobs)
    except (training.ConfigError, training.RunFolderError, training.TrainingStopped) as error:
        print(error, file=sys.stderr)
        return 1
    print(search.format_cells(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
