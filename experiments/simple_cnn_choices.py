r"""Trains SimpleCNN on the embedded digits, one choice changed at a time, and writes a table.

    python -m experiments.simple_cnn_choices
    python -m experiments.simple_cnn_choices --epochs=1 --seeds=0 --output=/tmp/choices.md

All networks have the same recipe, and each has several seeds. The table has the test error, the
mean loss over the last training epoch, parameters and multiply-adds for one image.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from cnnjax import analysis, models, recipes, training

BASE: dict[str, Any] = {"widths": (16, 32)}
"""What all networks share; everything else has its default."""

CHOICES: dict[str, dict[str, Any]] = {
    "kernel=5": {"kernel": 5},
    "depth=2": {"depth": 2},
    "filters=local": {"filters": "local"},
    "filters=separable": {"filters": "separable"},
    "activation=scaled_tanh": {"activation": "scaled_tanh"},
    "norm=none": {"norm": "none"},
    "norm_place=after": {"norm_place": "after"},
    "pooling=average": {"pooling": "average"},
    "pooling=stride": {"pooling": "stride"},
    "padding_mode=reflect": {"padding_mode": "reflect"},
    "shortcut=sum, depth=2": {"shortcut": "sum", "depth": 2},
    "head=average": {"head": "average"},
}
"""Twelve choices: their names, and the fields in which they differ from the base."""

RECIPE: dict[str, Any] = {
    "data": {"name": "digits", "resize": 16, "batch_size": 64},
    "optimizer": {"name": "adam", "learning_rate": 3e-3},
    "schedule": {"name": "cosine"},
}

_SIZE = (16, 16, 1)

_PAGE = """# SimpleCNN in twelve of its choices

Written by `python -m experiments.simple_cnn_choices`; do not edit.

{machine}.

Each row changes one thing in `simple_cnn` with `widths=(16, 32)`: two stages of a 3x3 convolution,
batch norm, a rectifier and a 2x2 max pool, then a dense layer. The images are the 1,437 training
digits, enlarged from 8x8 to 16x16; {epochs} epochs of batches of 64, Adam from 0.003 down to 0 by
a cosine, no augmentation, the same for all. {seeds} seeds a row; 360 images are tested, so that one
mistake is 0.28 points. Standard deviations are over seeds; differences of less than two of them
mean little here.

| network | test error, % | of each seed, % | loss of the last epoch | parameters | multiply-adds |
|---|--:|--:|--:|--:|--:|
{rows}
"""


def train_once(fields: dict[str, Any], epochs: int, seed: int) -> dict[str, float]:
    """Trains one network, and returns its test error in per cent and its last training loss.

    Args:
        fields: of `simple_cnn`.
        epochs: number of passes.
        seed: of the run.
    """
    model = {"name": "simple_cnn", "overrides": fields}
    run = recipes.make_run({**RECIPE, "model": model, "epochs": epochs, "seed": seed})
    # A line of training metrics for each epoch, so that the last one is the last epoch's mean.
    cadence = training.Cadence(log_every=run.epoch_steps)
    result = training.fit(run, progress=False, cadence=cadence)
    losses = [row["loss"] for row in result.history if row["split"] == "train"]
    return {"error": 100 * (1 - result.metrics["accuracy"]), "loss": losses[-1]}


def costs(fields: dict[str, Any]) -> dict[str, int]:
    """Returns the parameters and the multiply-adds of a network for one image.

    Args:
        fields: of `simple_cnn`.
    """
    model = models.create_model("simple_cnn", 10, **fields)
    images = jax.ShapeDtypeStruct((1, *_SIZE), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))
    products = analysis.multiply_adds(model, _SIZE, variables=variables)
    return {"parameters": parameters, "multiply_adds": products}


def row(name: str, record: dict[str, Any]) -> str:
    """Returns a line of the table.

    Args:
        name: of the network.
        record: its costs, and its errors and losses by seed.
    """
    errors, losses = record["error"], record["loss"]
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    cells = [
        name,
        f"{statistics.mean(errors):.2f}{spread}",
        ", ".join(f"{error:.2f}" for error in errors),
        f"{statistics.mean(losses):.4f}",
        f"{record['parameters']:,}",
        f"{record['multiply_adds']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """Returns the device and the versions."""
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("jax", "flax", "optax"))
    device = f"{os.cpu_count()} cores, device {jax.devices()[0].device_kind}"
    return f"{device}, Python {platform.python_version()}, {versions}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains all networks, and writes the page and its numbers.

    Args:
        arguments: of the command line; None for those of this process.
    """
    networks = {"as described": {}, **CHOICES}
    parser = argparse.ArgumentParser(description="Trains SimpleCNN in twelve of its choices.")
    parser.add_argument("--epochs", type=int, default=20, help="of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="a run for each")
    parser.add_argument("--only", nargs="+", choices=networks, default=networks, metavar="NAME")
    parser.add_argument("--output", type=Path, default=Path("docs/results/simple_cnn.md"))
    options = parser.parse_args(arguments)
    records: dict[str, Any] = {}
    for name in options.only:
        fields = BASE | networks[name]
        runs = [train_once(fields, options.epochs, seed) for seed in options.seeds]
        records[name] = costs(fields) | {key: [run[key] for run in runs] for key in runs[0]}
        print(row(name, records[name]), flush=True)
        # After each network, so that an end in the middle leaves what was measured.
        write(options.output, records, options.epochs, options.seeds)


def write(output: Path, records: dict[str, Any], epochs: int, seeds: list[int]) -> None:
    """Writes the page, and the numbers beside it as JSON.

    Args:
        output: the page's file.
        records: of each network, by name.
        epochs: of each run.
        seeds: of the runs.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(row(name, record) for name, record in records.items())
    page = _PAGE.format(machine=machine(), epochs=epochs, seeds=len(seeds), rows=lines)
    output.write_text(page)
    numbers = {"machine": machine(), "epochs": epochs, "seeds": seeds, "networks": records}
    output.with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
