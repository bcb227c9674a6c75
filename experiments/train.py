r"""Train a network as a configuration says, and resume it where it was.

python -m experiments.train --config=experiments/configs/lenet5_digits.py --workdir=runs/digits
python -m experiments.train --config=experiments/configs/lenet5_digits.py --workdir=runs/slower \
    --config.optimizer.learning_rate=0.05

Every key of the configuration is a flag (--config.KEY=VALUE). Starting again with the same folder
resumes the run; a finished run is evaluated and left as it is.
"""

from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from cnnjax import reports, training
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
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "TFDS data folder; TFDS's own default if not given."
)
_PROGRESS = flags.DEFINE_boolean("progress", True, "Show a progress bar.")
_REPORT = flags.DEFINE_boolean("report", True, "Write report.html into the folder at the end.")


def main(arguments: Sequence[str]) -> None:
    """Trains, then reports."""
    del arguments
    if _REPORT.value:
        check_report_packages()
    result = training.train_and_evaluate(
        read_config(_CONFIG),
        _WORKDIR.value,
        extend_to=_EXTEND_TO.value,
        log_every=_LOG_EVERY.value,
        checkpoint_every=_CHECKPOINT_EVERY.value,
        data_dir=_DATA_DIR.value,
        progress=_PROGRESS.value,
    )
    print(result.summary())
    if _REPORT.value:
        print(f"{'report':<22}{reports.write_report(_WORKDIR.value, data_dir=_DATA_DIR.value)}")


if __name__ == "__main__":
    launch(main)
