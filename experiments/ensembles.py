r"""What joining networks is worth: other seeds, checkpoints of one run, columns of a FractalNet.

python -m experiments.ensembles --workdir=runs/ensembles
python -m experiments.ensembles --workdir=runs/ensembles_cifar10 --scale=cifar10

Five networks are trained that differ in their seed. The first is trained on at a constant learning
rate; its checkpoints are joined, and the mean of their weights is a network as well (Izmailov et
al. 2018). A FractalNet is compared with its columns. All are evaluated on the test split; nothing
is chosen by it. The folder gets results.md and a figure; what was stopped goes on.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from cnnjax import inference, recipes, training
from cnnjax.analysis.plots.sizes import plot_sizes
from cnnjax.configurations import resnet8_digits, resnet20_cifar10
from cnnjax.writing import aside, write_text

SCALES = {
    "digits": "ResNet-8 and a FractalNet on the embedded digits",
    "cifar10": "ResNet-20 and a FractalNet on 10,000 images of CIFAR-10, 15 epochs",
}

SEEDS, FURTHER_EPOCHS = 5, 6
"""Networks of other seeds; epochs at a constant rate, each with a checkpoint."""

PAGE = """# Ensembles

Written by `python -m experiments.ensembles --scale={scale}`: {what}. Errors on the test split.

![Error over the number of joined networks.](ensembles.svg)

{tables}
"""


def network_config(scale: str, seed: int) -> ConfigDict:
    """Returns the configuration of one of the networks that differ in their seed.

    Args:
        scale: one of `SCALES`.
        seed: of the run.
    """
    # A ConfigDict's sections have no types that a type checker knows.
    config: Any
    if scale == "digits":
        config = resnet8_digits.get_config()
    else:
        config = resnet20_cifar10.get_config()
        config.schedule.name = "cosine"
        config.schedule.boundaries = ()
        config.schedule.factor = None
        config.schedule.warmup_epochs = 1.0
        config.data.train_examples = 10_000
        config.epochs = 15
    config.seed = seed
    return config


def constant_config(scale: str, weights: Path) -> ConfigDict:
    """Returns the configuration that trains a network on at a constant learning rate.

    Args:
        scale: one of `SCALES`.
        weights: the folder of its run.
    """
    config: Any = network_config(scale, seed=0)
    config.model.weights = str(weights)
    config.optimizer.learning_rate = config.optimizer.learning_rate / 5
    config.schedule.name = "constant"
    config.schedule.warmup_epochs = 0.0
    config.epochs = FURTHER_EPOCHS
    return config


def fractal_config(scale: str) -> ConfigDict:
    """Returns the configuration of the FractalNet.

    Args:
        scale: one of `SCALES`.
    """
    config: Any = network_config(scale, seed=0)
    config.model.name = "fractalnet20"
    widths = (16, 32, 64) if scale == "digits" else (16, 32, 64, 128, 128)
    rates = (0.0, 0.1, 0.2, 0.3, 0.4)[: len(widths)]
    with config.unlocked():
        config.model.overrides = {"widths": widths, "dropout_rates": rates}
    # Drop-path trains a part of the network in each step.
    config.epochs = 2 * config.epochs
    config.optimizer.learning_rate = 0.02
    config.optimizer.weight_decay = 0.0
    return config


def train(config: ConfigDict, folder: Path, data_dir: str | None) -> None:
    """Trains a run, or what is missing of it.

    Args:
        config: its configuration.
        folder: the run's folder.
        data_dir: TFDS data folder; None means TFDS's default.
    """
    cadence = training.Cadence(keep_checkpoints=FURTHER_EPOCHS)
    training.fit(recipes.make_run(config, data_dir=data_dir), folder, cadence=cadence)


def comparisons(workdir: Path, data_dir: str | None) -> dict[str, inference.Diversity]:
    """Returns what joining the trained networks of a folder is worth, by what they differ in.

    Args:
        workdir: the folder.
        data_dir: TFDS data folder; None means TFDS's default.
    """
    seeds = inference.load_ensemble(
        [workdir / f"seed{seed}" for seed in range(SEEDS)], data_dir=data_dir
    )
    steps = inference.load_ensemble([workdir / "constant"], last=FURTHER_EPOCHS, data_dir=data_dir)
    whole = inference.load(workdir / "fractalnet", data_dir=data_dir)
    # In training a column works beside others too: alone, its statistics are others.
    examples = recipes.make_run(whole.config, data_dir=data_dir).main.examples
    columns = [
        inference.renew_statistics(column, examples) for column in inference.columns_of(whole)
    ]
    return {
        "seeds": inference.compare_members(seeds),
        "checkpoints": inference.compare_members(steps),
        "columns": inference.compare_members(inference.Ensemble(columns)),
    }


def single_networks(
    workdir: Path, data_dir: str | None
) -> dict[str, dict[str, inference.MemberFigures]]:
    """Returns figures of single networks to compare with, by comparison and by what they are.

    Args:
        workdir: the folder.
        data_dir: TFDS data folder; None means TFDS's default.
    """
    mean = inference.average_checkpoints(
        workdir / "constant", last=FURTHER_EPOCHS, data_dir=data_dir
    )
    whole = inference.load(workdir / "fractalnet", data_dir=data_dir)
    examples = recipes.make_run(whole.config, data_dir=data_dir).main.examples
    renewed = inference.renew_statistics(whole, examples)

    def figures(network: inference.Network) -> inference.MemberFigures:
        columns = network.examples.column
        predictions = network.predict(columns("image"))
        task: Any = network.task
        return inference.member_figures(
            network.origin, predictions, columns("label"), task.class_names
        )

    return {
        "checkpoints": {"the mean of their weights": figures(mean)},
        "columns": {
            "whole network": figures(whole),
            "whole network, statistics renewed": figures(renewed),
        },
    }


def table(compared: inference.Diversity, others: Mapping[str, inference.MemberFigures]) -> str:
    """Returns the rows of a comparison.

    Args:
        compared: the members, and what joining them is worth.
        others: further networks by name.
    """
    lines = [
        "| joined | sets | error | lowest to highest | nll | calibration error |",
        "|---|--:|--:|--:|--:|--:|",
        *(
            f"| {each.size} | {each.sets} | {each.error:.2%} | {each.lowest:.2%} to "
            f"{each.highest:.2%} | {each.nll:.4f} | {each.calibration_error:.2%} |"
            for each in compared.by_size
        ),
    ]
    named = {"all, mean of logits": compared.joined[1], **others}
    lines += [
        f"| {name} | | {each.error:.2%} | | {each.nll:.4f} | {each.calibration_error:.2%} |"
        for name, each in named.items()
    ]
    lines += [
        "",
        f"Two members disagree on {compared.disagreement:.2%} of the images; both are wrong on "
        f"{compared.both_wrong:.2%}, and predict the same wrong class on "
        f"{compared.same_mistake:.2%} of these.",
    ]
    return "\n".join(lines)


def write(workdir: Path, scale: str, data_dir: str | None) -> Path:
    """Compares the networks of a folder, writes the page and the figure, and returns the page.

    Args:
        workdir: the folder.
        scale: one of `SCALES`.
        data_dir: TFDS data folder; None means TFDS's default.
    """
    compared = comparisons(workdir, data_dir)
    singles = single_networks(workdir, data_dir)
    titles = {
        "seeds": "Networks of other seeds",
        "checkpoints": "Checkpoints of one run at a constant learning rate",
        "columns": "Columns of a FractalNet",
    }
    tables = [
        f"## {title}\n\n{table(compared[name], singles.get(name, {}))}"
        for name, title in titles.items()
    ]
    figure = plot_sizes(
        {
            titles[name]: [(each.error, each.lowest, each.highest) for each in found.by_size]
            for name, found in compared.items()
        }
    )
    with aside(workdir / "ensembles.svg") as path:
        figure.savefig(path, format="svg")
    page = workdir / "results.md"
    what, tables = SCALES[scale], "\n\n".join(tables)
    write_text(page, PAGE.format(scale=scale, what=what, tables=tables))
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what is missing, compares and writes.

    Args:
        arguments: the flags; None reads `sys.argv`.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workdir", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--scale", choices=sorted(SCALES), default="digits")
    parser.add_argument("--data_dir", default=None, help="TFDS data folder")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("cnnjax").setLevel(logging.INFO)
    try:
        for seed in range(SEEDS):
            config = network_config(given.scale, seed)
            train(config, given.workdir / f"seed{seed}", given.data_dir)
        config = constant_config(given.scale, given.workdir / "seed0")
        train(config, given.workdir / "constant", given.data_dir)
        train(fractal_config(given.scale), given.workdir / "fractalnet", given.data_dir)
        print(write(given.workdir, given.scale, given.data_dir).read_text())
    except (training.ConfigError, training.RunFolderError, training.TrainingStopped) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
