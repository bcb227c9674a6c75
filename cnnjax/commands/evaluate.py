r"""Evaluate trained networks on their dataset's test images, each image once.

python -m experiments.evaluate --workdir=runs/digits
python -m experiments.evaluate --workdir=runs/a,runs/b --last=3 --crops=ten --output=result.json

Without further flags it recomputes a run's metrics from its newest checkpoint alone. Where a run
holds out validation examples, these are evaluated. Probabilities, the softmax of the logits, are
averaged over checkpoints, runs and views.
"""

from collections.abc import Sequence

from absl import flags

from cnnjax import training
from experiments import members
from experiments.inputs import read_inputs
from experiments.launch import launch

_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", training.EVAL_BATCH, "Images judged at once, on all devices.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "JSON file for all figures, with those of each class and the confusion matrix."
)


def main(arguments: Sequence[str]) -> None:
    """Evaluates."""
    del arguments
    output = training.check_output(_OUTPUT.value, [".json"]) if _OUTPUT.value else None
    ensemble = members.read_ensemble(read_inputs())
    assessment = ensemble.assess(_BATCH_SIZE.value)
    print(training.format_assessment(ensemble, assessment))
    if output is not None:
        training.write_assessment(output, ensemble, assessment)


if __name__ == "__main__":
    launch(main)
