r"""Train CIFAR-10 to 94 % mean test accuracy over many seeds, in as few seconds as possible.

python -m experiments.cifar10_speedrun --data_dir=data --seeds=100 --output=speedrun.json
python -m experiments.cifar10_speedrun --recipe=sgd --precision=float16 --seeds=25

All data and augmentation are on the device, and a run's training is one program. A run's time
includes initialization, whitening, padding, training, and the evaluation with six views of a
test image. It does not include reading the set, copying it to the device, compiling, and a first
run to warm up.

A small try on CPU, where each step is a program:

python -m experiments.cifar10_speedrun --train_examples=512 --test_examples=256 --batch_size=128 \
    --width=8 --epochs=2 --seeds=2 --precision=float32
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from absl import flags

from cnnjax import data, inference, training
from cnnjax.commands.flags.data_dir import read_data_dir
from cnnjax.commands.launch import launch
from cnnjax.training.folder.environment import describe_code, describe_environment
from experiments.speedrun import trials
from experiments.speedrun.network import SpeedNet
from experiments.speedrun.programs import Dispatch, make_programs
from experiments.speedrun.recipes import RECIPES, Recipe
from experiments.speedrun.run import Run
from experiments.speedrun.views import cut_into_chunks

_RECIPE = flags.DEFINE_enum("recipe", "muon", list(RECIPES), "How the network is trained.")
_SEEDS = flags.DEFINE_integer("seeds", 25, "Runs, with the seeds 0, 1, 2, ...", lower_bound=1)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "bfloat16",
    ["bfloat16", "float16", "float32"],
    "Dtype of the network's computation; parameters, statistics and losses are float32.",
)
_EPOCHS = flags.DEFINE_float("epochs", None, "Epochs, in place of the recipe's.")
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, "Images a step, in place of the recipe's.", lower_bound=1
)
_WIDTH = flags.DEFINE_integer("width", 64, "Channels of the first block.", lower_bound=1)
_TRAIN_EXAMPLES = flags.DEFINE_integer(
    "train_examples", None, "Use only this many training images, for a try.", lower_bound=1
)
_TEST_EXAMPLES = flags.DEFINE_integer(
    "test_examples", None, "Use only this many test images, for a try.", lower_bound=1
)
_DISPATCH = flags.DEFINE_enum(
    "dispatch",
    "auto",
    ["auto", "whole", "step"],
    "Training as one program, or one a step; 'auto' takes the first except on CPU.",
)
_BACKWARD = flags.DEFINE_enum(
    "backward", "ours", ["ours", "native"], "Gradients by cnnjax's rules, or by lax's autodiff."
)
_WARM_UP = flags.DEFINE_boolean("warm_up", True, "Make one run first that is not counted.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "JSON file for all runs; a Markdown page is written beside it."
)


def main(arguments: Sequence[str]) -> None:
    """Runs all seeds, prints their accuracies and writes the record after each.

    Args:
        arguments: the program's name; nothing follows it.
    """
    del arguments
    # Before any work: a wrong path must not cost all runs.
    output = inference.check_output(_OUTPUT.value, [".json"]) if _OUTPUT.value else None
    recipe = _read_recipe()
    images, labels = _read_images("train", _TRAIN_EXAMPLES.value)
    test_images, test_labels = _read_images("test", _TEST_EXAMPLES.value)
    # Refuses a batch size above the number of images before anything is compiled.
    recipe.epoch_steps(len(images))
    run = _make_run(recipe, len(images))
    programs = make_programs(
        run,
        images,
        labels,
        cut_into_chunks(test_images, test_labels),
        cast(Dispatch, _DISPATCH.value),
    )
    print(f"compiled in {programs.compile_seconds:.1f} s; {run.total_steps} steps a run")
    settings, done = _settings(run, len(test_images)), []
    for trial in trials.run_trials(
        programs, _SEEDS.value, len(test_images), warm_up=_WARM_UP.value
    ):
        print(
            f"seed {trial.seed:<4} accuracy {trial.accuracy:.2%}  one view "
            f"{trial.plain_accuracy:.2%}  {trial.seconds:.3f} s",
            flush=True,
        )
        done.append(trial)
        if output is not None:
            record = {
                **settings,
                "compile_seconds": programs.compile_seconds,
                "summary": trials.summarize(done),
                "trials": [dataclasses.asdict(trial) for trial in done],
            }
            # After each run: an interrupted program keeps its runs.
            trials.write_record(output, record)
    print(_last_line(trials.summarize(done)))


def _read_recipe() -> Recipe:
    if _EPOCHS.value is not None and _EPOCHS.value <= 0:
        raise training.ConfigError(f"--epochs: {_EPOCHS.value} is not positive; give e.g. 8")
    return RECIPES[_RECIPE.value].resized(_EPOCHS.value, _BATCH_SIZE.value)


def _read_images(split: str, count: int | None) -> tuple[np.ndarray, np.ndarray]:
    examples = data.load_arrays(data.dataset("cifar10"), split, read_data_dir())
    if count is not None and count > len(examples):
        raise training.ConfigError(
            f"--{split}_examples: {count} is more than the {len(examples)} {split} images"
        )
    return examples.arrays["image"][:count], examples.arrays["label"][:count]


def _make_run(recipe: Recipe, examples: int) -> Run:
    dataset = data.dataset("cifar10")
    model = SpeedNet(
        _WIDTH.value,
        dataset.num_classes,
        jnp.dtype(_PRECISION.value),
        recipe.whitening_bias,
        recipe.unit_head,
        _BACKWARD.value,
        recipe.activation,
        recipe.norm_momentum,
    )
    return Run(recipe, model, data.Preprocess(None, 0, dataset.mean, dataset.std), examples)


def _settings(run: Run, test_examples: int) -> dict[str, Any]:
    """Returns what the record holds about code, environment and flags."""
    return {
        **describe_code(),
        "environment": describe_environment(),
        "recipe": dataclasses.asdict(run.recipe),
        "precision": _PRECISION.value,
        "width": _WIDTH.value,
        "backward": _BACKWARD.value,
        "dispatch": _DISPATCH.value,
        "train_examples": run.examples,
        "test_examples": test_examples,
        "steps": run.total_steps,
        "warm_up": _WARM_UP.value,
    }


def _last_line(summary: dict[str, Any]) -> str:
    return (
        f"{summary['runs']} runs: accuracy {summary['mean_accuracy']:.3%} "
        f"(standard deviation {summary['accuracy_deviation']:.3%}) in "
        f"{summary['mean_seconds']:.3f} s (standard deviation {summary['seconds_deviation']:.3f} s)"
    )


if __name__ == "__main__":
    launch(main)
