r"""Train a network by a configuration, and resume it where it was.

cnnjax train --config=experiments/configs/lenet5_digits.py --workdir=runs/digits
cnnjax train --config=lenet5_digits --workdir=runs/slower --config.optimizer.learning_rate=0.05

On the eight devices of a machine, and on one of two machines that share a folder:

cnnjax train --config=lenet5_digits --workdir=runs/eight --parallel=jit --mesh=data:8
cnnjax train --config=lenet5_digits --workdir=runs/two --parallel=jit \
    --coordinator=10.0.0.1:4321 --num_processes=2 --process_id=0

Every key of the configuration is a flag (--config.KEY=VALUE). Starting again with the same folder
resumes the run; a finished run is evaluated and left as it is.

After SIGTERM or Ctrl-C, the run finishes its step, saves, and leaves with exit code 75; start it
again to continue. A second Ctrl-C leaves at once, with 130.
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import recipes, reports, training
from cnnjax.commands.flags.configuration import read_config
from cnnjax.commands.flags.data_dir import read_data_dir
from cnnjax.commands.flags.devices import joined, read_parallel
from cnnjax.commands.flags.reading import read_options
from cnnjax.commands.flags.records import (
    read_cadence,
    read_profile_steps,
    read_progress,
    read_report_every,
    read_trackers,
)
from cnnjax.commands.launch import check_report_packages, launch
from cnnjax.training.devices import processes

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run: metrics, checkpoints and report.html.", required=True
)
_EXTEND_TO = flags.DEFINE_integer(
    "extend_to", None, "Continue a finished or running run to this many epochs.", lower_bound=1
)
_REPORT = flags.DEFINE_boolean("report", True, "Write report.html into the folder at the end.")


def main(arguments: Sequence[str]) -> None:
    """Trains the network that the configuration describes, then writes the report.

    Args:
        arguments: the program's name; nothing follows it.
    """
    del arguments
    # After the training it would be too late.
    if _REPORT.value or read_report_every():
        check_report_packages()
    config = read_config()
    callbacks = read_trackers()
    with joined():
        run = recipes.make_run(
            config, extend_to=_EXTEND_TO.value, data_dir=read_data_dir(), read=read_options()
        )
        if every := read_report_every():
            callbacks.append(_report_every(every))
        result = training.fit(
            run,
            _WORKDIR.value,
            parallel=read_parallel(),
            cadence=read_cadence(),
            profile_steps=read_profile_steps(),
            read=read_options(),
            callbacks=callbacks,
            progress=read_progress(),
        )
        # All processes have the same result.
        if processes.is_first():
            print(result.summary())
            if _REPORT.value or read_report_every():
                page = reports.write_report(
                    _WORKDIR.value, data_dir=read_data_dir(), read=read_options()
                )
                print(training.format_lines([("report", str(page))]))
                for callback in callbacks:
                    callback.on_report(page)


def _report_every(epochs: int) -> training.Callback:
    # The others would not wait at the places where a report's making needs all of them.
    if processes.is_joined():
        raise training.ConfigError(
            "--report_every: a report is written by one process alone; leave it out where several "
            "train together, and call cnnjax report"
        )
    return reports.ReportEvery(epochs, data_dir=read_data_dir(), read=read_options())


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
