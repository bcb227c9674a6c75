"""Evaluate trained networks on their dataset's test images, each once.

cnnjax evaluate --workdir=runs/digits
cnnjax evaluate --workdir=runs/a,runs/b --last=3 --crops=ten --output=result.json

Without further flags it recomputes a run's metrics from its newest checkpoint alone. Where a run
holds out validation examples, these are evaluated. Probabilities, the softmax of the logits, are
averaged over checkpoints, runs and views.
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import training
from cnnjax.commands.flags.networks import read_ensemble
from cnnjax.commands.flags.reading import read_inputs
from cnnjax.commands.launch import launch

_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", training.EVAL_BATCH, "Images evaluated at once, on all devices.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "JSON file for all figures, with those of each class and the confusion matrix."
)


def main(arguments: Sequence[str]) -> None:
    """Evaluates."""
    del arguments
    output = training.check_output(_OUTPUT.value, [".json"]) if _OUTPUT.value else None
    ensemble = read_ensemble(read_inputs())
    assessment = ensemble.assess(_BATCH_SIZE.value)
    print(training.format_assessment(ensemble, assessment))
    if output is not None:
        training.write_assessment(output, ensemble, assessment)


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
