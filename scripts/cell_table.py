"""Makes the table of all cells of a small space: each is trained with three seeds and measured.

    JAX_PLATFORMS=cpu python -m scripts.cell_table --jobs=16

A cell takes about 6 s of one core. The file is written after each cell; the same command goes on
where it was stopped. Without `--out` the table of the package is completed.
"""

import argparse
import logging
import sys

from cnnjax.search.table.make import make_table
from cnnjax.search.table.package_table import PACKAGE_TABLE
from cnnjax.search.table.table import SPACE


def main() -> int:
    """Makes the table that the command's arguments describe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", default=str(PACKAGE_TABLE), help="the table's file")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each on one core")
    parser.add_argument("--first", type=int, default=None, help="only the first cells")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("cnnjax").setLevel(logging.INFO)
    table = make_table(given.out, jobs=given.jobs, genomes=SPACE.distinct()[: given.first])
    print(f"{len(table.cells)} cells are in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
