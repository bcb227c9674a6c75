"""Write a run's report.html anew, with an analysis of its network.

python -m experiments.report --workdir=runs/digits

The page shows what training's own report shows, and besides: what each layer costs and sees, what
the network looks at, how it bears moved, turned and scaled images, and its signals by depth.
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import reports
from experiments.data_dir import read_data_dir
from experiments.inputs import read_inputs
from experiments.launch import check_report_packages, launch

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


if __name__ == "__main__":
    launch(main)
