"""The complexity chart as a page: `python -m cnnjax.reports.complexity_page complexity.html`."""

import argparse
import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from cnnjax.analysis.cost.complexity import ComplexityPoint, complexity_points
from cnnjax.reports.template import fill
from cnnjax.writing import write_text

MEASURES = ("top-1", "top-5", "CIFAR-10")


def write_complexity_page(
    path: str | os.PathLike, points: Mapping[str, Sequence[ComplexityPoint]] | None = None
) -> pathlib.Path:
    """Writes the chart of accuracy against operations as one page that opens offline.

    A circle shows its figures under the pointer or the keyboard. The reader chooses what the areas
    show, and which error is drawn. A table has the same figures.

    Args:
        path: the file to write.
        points: the points by measure; None for all registered networks and measures.

    Returns:
        The path.
    """
    if points is None:
        points = {measure: complexity_points(measure) for measure in MEASURES}
    # Escaped, because "</script>" in a name would end the script that contains the figures.
    figures = json.dumps({m: [dataclasses.asdict(p) for p in ps] for m, ps in points.items()})
    page = fill(
        "complexity.html",
        figures=figures.replace("</", "<\\/"),
        points=points,
        measures=list(points),
    )
    write_text(path, page)
    return pathlib.Path(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the page that the command line names.

    Args:
        arguments: the command line without the program; None reads `sys.argv`.
    """
    parser = argparse.ArgumentParser(description="Write the complexity chart as a page.")
    parser.add_argument("path", help="the HTML file to write")
    print(write_complexity_page(parser.parse_args(arguments).path))


if __name__ == "__main__":
    main()
