"""Write a run's report.html anew, with an analysis of its network.

cnnjax report --workdir=runs/digits

The page shows what training's own report shows, and besides: what each layer costs and sees, what
the network looks at, how it bears moved, turned and scaled images, and its signals by depth.
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import reports
from cnnjax.commands.flags.data_dir import read_data_dir
from cnnjax.commands.flags.reading import read_inputs
from cnnjax.commands.launch import check_report_packages, launch

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_ANALYSIS = flags.DEFINE_boolean("analysis", True, "Analyse the network; it takes a minute or so.")


def main(arguments: Sequence[str]) -> None:
    """Writes the page."""
    del arguments
    check_report_packages()
    page = reports.write_report(
        _WORKDIR.value,
        analysis=_ANALYSIS.value,
        data_dir=read_data_dir(),
        inputs=read_inputs(),
    )
    print(page)


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
