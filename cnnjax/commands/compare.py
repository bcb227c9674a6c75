"""Compare runs, or the runs of a study, on one page.

cnnjax compare runs/a runs/b runs/c
cnnjax compare runs/sweep/* --output=sweep.html
cnnjax compare runs/degradation

The page shows learning curves, results, paired differences with 95 % intervals over seeds, and what
the training cost. Runs that differ in their seed alone are one setting. Of a study, it shows the
verdict too. It opens offline, and links to each run's report.
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import reports, training
from cnnjax.commands.flags.data_dir import read_data_dir
from cnnjax.commands.launch import check_report_packages, launch

_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "HTML file to write; comparison.html, in the study's or the current folder, if not given.",
)


def main(arguments: Sequence[str]) -> None:
    """Writes the page and prints its path.

    Args:
        arguments: the program's name, and the folders of the runs or that of a study.
    """
    check_report_packages()
    folders = arguments[1:]
    if not folders:
        raise training.ConfigError(
            "no folder was given; name those of two runs or more, or that of a study"
        )
    print(reports.write_comparison(folders, _OUTPUT.value, data_dir=read_data_dir()))


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
