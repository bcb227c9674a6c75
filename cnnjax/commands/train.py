r"""Train a network as a configuration says, and resume it where it was.

python -m experiments.train --config=experiments/configs/lenet5_digits.py --workdir=runs/digits
python -m experiments.train --config=experiments/configs/lenet5_digits.py --workdir=runs/slower \
    --config.optimizer.learning_rate=0.05

On the eight devices of a machine, and on one of two machines that share a folder:

python -m experiments.train --config=experiments/configs/lenet5_digits.py --workdir=runs/eight \
    --parallel=jit --mesh=data:8
python -m experiments.train --config=experiments/configs/lenet5_digits.py --workdir=runs/two \
    --parallel=jit --coordinator=10.0.0.1:4321 --num_processes=2 --process_id=0

Every key of the configuration is a flag (--config.KEY=VALUE). Starting again with the same folder
resumes the run; a finished run is evaluated and left as it is.

SIGTERM and Ctrl-C end the current step, save, and leave with exit code 75: start again to go on.
A second Ctrl-C leaves at once, with 130. 2 is a wrong flag or folder, 3 a run that cannot go on.
"""

from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from cnnjax import reports, training
from cnnjax.training.devices import processes
from experiments.data_dir import read_data_dir
from experiments.devices import joined, read_parallel
from experiments.inputs import read_inputs
from experiments.launch import check_report_packages, launch, read_config

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    # No default here: ml_collections would parse it, and fail, at import.
    None,
    "Configuration file, e.g. experiments/configs/lenet5_digits.py; each of its keys is a flag "
    "too, e.g. --config.epochs=20.",
)
flags.mark_flag_as_required("config")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run: metrics, checkpoints and report.html.", required=True
)
_EXTEND_TO = flags.DEFINE_integer(
    "extend_to", None, "Train a finished or running run on to this many epochs.", lower_bound=1
)
_LOG_EVERY = flags.DEFINE_integer(
    "log_every", 10, "Steps between two lines of training metrics.", lower_bound=1
)
_CHECKPOINT_EVERY = flags.DEFINE_integer(
    "checkpoint_every", 1, "Epochs between two checkpoints.", lower_bound=1
)
_CHECKPOINT_STEPS = flags.DEFINE_integer(
    "checkpoint_steps",
    0,
    "Steps between two checkpoints, inside epochs too; 0 for none of them.",
    lower_bound=0,
)
_HISTOGRAMS_EVERY = flags.DEFINE_integer(
    "histograms_every",
    10,
    "Epochs between two sets of histograms of parameters and gradients in TensorBoard; 0 for none.",
    lower_bound=0,
)
_PROFILE_STEPS = flags.DEFINE_string(
    "profile_steps", None, "Trace these steps, a:b, counted from 1, into the folder's profile/."
)
_PROGRESS = flags.DEFINE_boolean("progress", True, "Tell step, loss, speed and the time left.")
_REPORT = flags.DEFINE_boolean("report", True, "Write report.html into the folder at the end.")


def main(arguments: Sequence[str]) -> None:
    """Trains, then reports."""
    del arguments
    if _REPORT.value:
        check_report_packages()
    config = read_config(_CONFIG)
    with joined():
        result = training.train_and_evaluate(
            config,
            _WORKDIR.value,
            extend_to=_EXTEND_TO.value,
            log_every=_LOG_EVERY.value,
            checkpoint_every=_CHECKPOINT_EVERY.value,
            checkpoint_steps=_CHECKPOINT_STEPS.value,
            histograms_every=_HISTOGRAMS_EVERY.value,
            profile_steps=_PROFILE_STEPS.value,
            data_dir=read_data_dir(),
            inputs=read_inputs(),
            parallel=read_parallel(),
            progress=_PROGRESS.value,
        )
        if processes.is_first():
            print(result.summary())
            if _REPORT.value:
                page = reports.write_report(
                    _WORKDIR.value, data_dir=read_data_dir(), inputs=read_inputs()
                )
                print(f"{'report':<22}{page}")


if __name__ == "__main__":
    launch(main)
