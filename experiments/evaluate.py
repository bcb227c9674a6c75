"""Recompute a run's metrics from its checkpoint alone.

python -m experiments.evaluate --workdir=runs/digits
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import training
from experiments.launch import launch

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_STEP = flags.DEFINE_integer("step", None, "Step of the checkpoint; the newest if not given.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "TFDS data folder; TFDS's own default if not given."
)


def main(arguments: Sequence[str]) -> None:
    """Evaluates."""
    del arguments
    run = training.load_run(_WORKDIR.value, _STEP.value, _DATA_DIR.value)
    print(training.format_metrics(run.plan.eval_split, run.step, run.evaluate()))


if __name__ == "__main__":
    launch(main)
