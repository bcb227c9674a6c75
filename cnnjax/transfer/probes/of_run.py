"""A probe of a trained run's features, on its own dataset or on another one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnjax import data, inference, recipes
from cnnjax.training.errors import ConfigError
from cnnjax.transfer.equal_steps import balanced_positions
from cnnjax.transfer.probes.features import layer_features
from cnnjax.transfer.probes.linear import LinearProbe, fit_linear_probe
from cnnjax.transfer.probes.mlp import MLPProbe, fit_mlp_probe

VALIDATION_SHARE = 5
"""One of so many training examples is held out, to choose the penalty."""


@dataclass(frozen=True)
class RunProbe:
    """A probe of one layer of a run.

    Attributes:
        layer: the layer's name.
        dataset: the dataset's name.
        probe: the classifier of its features.
        counts: examples by what they were used for: "train", "validation" and "test".
        accuracies: the probe's accuracy on each of them.
    """

    layer: str
    dataset: str
    probe: LinearProbe | MLPProbe
    counts: dict[str, int]
    accuracies: dict[str, float]

    def lines(self) -> list[tuple[str, str]]:
        """Returns names and values, as commands print them."""
        fitted: list[tuple[str, str]] = [("features", f"{self.layer}, on {self.dataset}")]
        if isinstance(self.probe, LinearProbe):
            width = len(self.probe.weights)
            fitted.append(("linear probe", f"{width} features, penalty {self.probe.penalty:.3g}"))
        else:
            widths = ", ".join(map(str, self.probe.model.widths))
            fitted.append(("probe", f"{len(self.probe.mean)} features, hidden layers of {widths}"))
        return fitted + [
            (f"{part} accuracy", f"{100 * accuracy:.2f}% of {self.counts[part]:,}")
            for part, accuracy in self.accuracies.items()
        ]


def probe_run(
    workdir: str | Path,
    layer: str,
    *,
    dataset: str = "",
    labels: int | None = None,
    hidden: Sequence[int] = (),
    pooling: str = "mean",
    folder: str | Path | None = None,
    seed: int = 0,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> RunProbe:
    """Fits a probe to the features of a run's layer; the run's network stays as it is.

    A fifth of the training examples is held out; it chooses the penalty. Test examples choose
    nothing.

    Args:
        workdir: the folder of a run from a configuration.
        layer: name of a feature of its network, or "logits".
        dataset: another dataset with classes, by name or folder:PATH; "" for the run's own.
        labels: training examples that the probe sees, classes equally often; None for all.
        hidden: widths of hidden layers; none for a linear probe in closed form.
        pooling: see `layer_features`.
        folder: see `layer_features`.
        seed: draws the labels, and starts hidden layers.
        data_dir: TFDS data folder; None means TFDS's default.
        read: how images are read.

    Raises:
        ConfigError: the run was made in Python, or its network does not fit the dataset.
        ValueError: the layer is unknown, or there are fewer labels.
    """
    network = inference.load(workdir, data_dir=data_dir, read=read)
    parts = _examples(network, dataset, data_dir, read)
    if labels is not None:
        chosen = balanced_positions(parts["train"].column("label"), labels, seed)
        parts["train"] = data.choose(parts["train"], chosen)
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    model: Any = network.model
    for part, examples in parts.items():
        features = layer_features(
            model,
            network.variables,
            examples,
            layer,
            preprocess=network.preprocess,
            pooling=pooling,
            folder=folder,
        )
        found[part] = features, examples.column("label")
    probe = _fit(found, hidden, seed)
    return RunProbe(
        layer,
        dataset or network.title[1],
        probe,
        {part: len(known) for part, (_, known) in found.items()},
        {part: probe.accuracy(*given) for part, given in found.items()},
    )


def _fit(
    found: dict[str, tuple[np.ndarray, np.ndarray]], hidden: Sequence[int], seed: int
) -> LinearProbe | MLPProbe:
    classes = 1 + max(int(labels.max()) for _, labels in found.values())
    options: dict[str, Any] = {"classes": classes, "validation": found["validation"]}
    if hidden:
        return fit_mlp_probe(*found["train"], widths=hidden, seed=seed, **options)
    return fit_linear_probe(*found["train"], **options)


def _examples(
    network: inference.Network, dataset: str, data_dir: str | None, read: data.ReadOptions
) -> dict[str, data.Examples]:
    """Returns the examples to train on, to choose by and to test on."""
    if not network.config:
        raise ConfigError(
            f"{network.origin}: it was made in Python; use transfer.layer_features on its examples"
        )
    config: dict[str, Any] = {name: network.config[name] for name in ("model", "data", "task")}
    # Only the images and their framing count: nothing is trained.
    config["model"] = {**config["model"], "weights": "", "part": "", "fresh": (), "fresh_from": ""}
    plain = {"augmentation": "", "views": {}, "streams": {}, "order": "shuffled", "episodes": ()}
    section = {**config["data"], **plain, "batch_size": 1, "train_examples": None}
    config["data"] = section | {"validation_examples": 0, "name": dataset or section["name"]}
    blueprint = recipes.make_blueprint(config, data_dir)
    test = recipes.load_evaluated(blueprint, data_dir, read)
    size = blueprint.dataset.split_sizes["train"] // VALIDATION_SHARE
    config["data"] = config["data"] | {"validation_examples": max(1, size)}
    run = recipes.make_run(config, data_dir=data_dir, read=read)
    examples: dict[str, Any] = {"train": run.main.examples, "validation": run.test, "test": test}
    _check(network, examples["train"])
    return examples


def _check(network: inference.Network, examples: data.Examples) -> None:
    if "label" not in examples.spec:
        raise ConfigError(f"{network.title[1]}: the examples have no label, which a probe learns")
    channels, needed = examples.spec["image"].shape[-1], network.form.shape[-1]
    if channels != needed:
        raise ConfigError(
            f"data: its images have {channels} channels, but the network takes {needed}; train a "
            "run that starts from its weights, which adapts them: --config.model.weights"
        )
