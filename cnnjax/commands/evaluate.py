"""Evaluate trained networks on their dataset's test images, each once.

cnnjax evaluate --workdir=runs/digits
cnnjax evaluate --workdir=runs/a,runs/b --last=3 --crops=ten --output=result.json

Without further flags it recomputes a run's metrics from its newest checkpoint alone. Where a run
holds out validation examples, these are evaluated. Predictions are combined over checkpoints, runs
and views as the task defines it; a classification averages probabilities.

With --compare_members, each network is evaluated alone too, and the errors of smaller ensembles are
printed, and how often the networks make the same mistakes.

With a tree of the classes, a mistake between similar classes counts less (hierarchical error):

cnnjax evaluate --workdir=runs/imagenet --class_tree=wordnet

A network of the registry with weights from a file, on a folder of images by class:

cnnjax evaluate --model=resnet50 --weights=resnet50.safetensors --data=folder:photographs
"""

import dataclasses
from collections.abc import Sequence

from absl import flags

from cnnjax import inference, training
from cnnjax.commands.flags.reading import read_options
from cnnjax.commands.flags.views import read_ensemble
from cnnjax.commands.launch import launch

_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", training.EVAL_BATCH, "Images evaluated at once, on all devices.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "JSON file for all metrics, with those of each class and the confusion matrix."
)
_COMPARE_MEMBERS = flags.DEFINE_boolean(
    "compare_members",
    False,
    "Evaluate each network alone too, print what 1, 2, ... joined are worth, and how they differ.",
)
_CLASS_TREE = flags.DEFINE_string(
    "class_tree",
    None,
    "For the hierarchical error: 'wordnet', where the classes are ImageNet's, or a file with a "
    "line for each node: its name, and after tabs its parents (or .json: parents by node).",
)


def main(arguments: Sequence[str]) -> None:
    """Evaluates the networks that the flags name, prints the metrics and writes them to a file.

    Args:
        arguments: the program's name; nothing follows it.
    """
    del arguments
    # Before any work: a wrong path must not cost an evaluation.
    output = inference.check_output(_OUTPUT.value, [".json"]) if _OUTPUT.value else None
    ensemble = read_ensemble(read_options())
    if _CLASS_TREE.value is not None:
        ensemble = inference.with_task(ensemble, class_tree=_CLASS_TREE.value)
    # First: what has no members to compare must not cost an evaluation.
    compared = (
        inference.compare_members(ensemble, _BATCH_SIZE.value) if _COMPARE_MEMBERS.value else None
    )
    evaluation = ensemble.assess(_BATCH_SIZE.value)
    print(inference.format_evaluation(ensemble, evaluation))
    if compared is not None:
        print(compared)
        details = {**evaluation.details, "comparison": dataclasses.asdict(compared)}
        evaluation = dataclasses.replace(evaluation, details=details)
    if output is not None:
        inference.write_evaluation(output, ensemble, evaluation)


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
