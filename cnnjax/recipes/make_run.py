"""A run from its configuration: parts, examples and streams."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from cnnjax import data
from cnnjax.extras import installed_with
from cnnjax.recipes.blueprint import Blueprint, make_blueprint
from cnnjax.recipes.config import parse_config
from cnnjax.recipes.schema import DataConfig, RunConfig, StreamConfig
from cnnjax.recipes.starting_weights import StartingWeights
from cnnjax.recipes.without_examples import (
    check_blueprint,
    episodes_of,
    stream_blueprint,
)
from cnnjax.training.devices import processes
from cnnjax.training.errors import ConfigError
from cnnjax.training.run import MAIN_STREAM, Run

with installed_with("train"):
    from ml_collections import ConfigDict

VALIDATION_SEED = 0
"""Which examples are held out: the same for every run, so that runs are compared on them."""


def make_run(
    config: RunConfig | ConfigDict | Mapping[str, Any],
    *,
    extend_to: int | None = None,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> Run:
    """Returns the run that a configuration describes, with its examples.

    Args:
        config: nested settings, a `ConfigDict`, or a checked configuration.
        extend_to: epochs to train for instead of the configuration's. The learning rate keeps the
            configuration's schedule, and past its end its last value.
        data_dir: TFDS data folder; None means TFDS's default.
        read: whether images are kept in memory.

    Raises:
        ConfigError: a part cannot be made, or does not fit another.
        DataError: the images are not prepared, gone, or not what they should be.
    """
    checked = parse_config(config)
    blueprint = make_blueprint(checked, data_dir)
    try:
        return _make_run(blueprint, extend_to, data_dir, read)
    except data.DataError:  # a ValueError whose cause is not the configuration
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _make_run(
    blueprint: Blueprint, extend_to: int | None, data_dir: str | None, read: data.ReadOptions
) -> Run:
    checked = check_blueprint(blueprint, data_dir)
    if extend_to is not None:
        _check_extension(blueprint.config, extend_to)
    with processes.first_before_others():  # the first process may have to prepare the dataset
        streams = _streams(blueprint, data_dir, read)
        test = load_evaluated(blueprint, data_dir, read)
    run = checked.replace(
        train=streams, test=test, total_epochs=extend_to, start=_start(blueprint, data_dir)
    )
    # Examples of the form that was checked need no further check.
    same = _specs(run) == _specs(checked)
    return run.replace(shapes=checked.shapes) if same else run


def _start(blueprint: Blueprint, data_dir: str | None) -> StartingWeights | None:
    section = blueprint.config.model
    if not section.weights:
        for key in ("fresh", "fresh_from", "part"):
            if getattr(section, key):
                raise ValueError(f"model.{key}: there are no weights to load; give model.weights")
        return None
    return StartingWeights(blueprint.model, section, blueprint.image_shape, data_dir)


def _specs(run: Run) -> dict[str, data.Spec]:
    return {name: stream.examples.spec for name, stream in run.streams.items()}


def load_evaluated(
    blueprint: Blueprint,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
    framing: data.Framing | None = None,
) -> data.Examples:
    """Returns the examples that a run evaluates: the test split, or those held out.

    Args:
        blueprint: the run.
        data_dir: TFDS data folder; None means TFDS's default.
        read: whether images are kept in memory.
        framing: how photographs are framed; None means as in the run.

    Raises:
        DataError: the images are not prepared, gone, or not what they should be.
    """
    if blueprint.split == "validation":
        held_out, _, _ = _positions(blueprint)
        return _load(blueprint, "train", held_out, data_dir, read, framing)
    return _load(blueprint, "test", None, data_dir, read, framing)


def _load(
    blueprint: Blueprint,
    split: str,
    chosen: np.ndarray | None,
    data_dir: str | None,
    read: data.ReadOptions,
    framing: data.Framing | None = None,
) -> data.Examples:
    if blueprint.own is not None:
        examples = blueprint.own.split(split)
        return examples if chosen is None else data.choose(examples, chosen)
    return data.load_examples(
        blueprint.dataset,
        split,
        data_dir,
        framing=framing or blueprint.framing,
        chosen=chosen,
        resident=read.resident,
        max_pixels=read.max_pixels,
    )


def _streams(
    blueprint: Blueprint, data_dir: str | None, read: data.ReadOptions
) -> dict[str, data.Stream]:
    section = blueprint.config.data
    _, trained, rest = _positions(blueprint)
    main = _load(blueprint, "train", trained, data_dir, read)
    streams = {MAIN_STREAM: _stream(main, section)}
    for name, further in section.streams.items():
        # Only the run's own dataset is divided into trained, held-out and further examples.
        if further.name in ("", section.name):
            chosen = {"trained": trained, "rest": rest, "all": np.sort([*trained, *rest])}
            positions = chosen[further.examples]
            if not len(positions):
                raise ValueError(
                    f"data.streams.{name}.examples: {further.examples!r} holds no examples; set "
                    "data.train_examples to less than there are"
                )
            examples = _load(blueprint, "train", positions, data_dir, read)
        else:
            other = stream_blueprint(blueprint, further, data_dir)
            examples = _load(other, "train", None, data_dir, read)
        streams[name] = _stream(examples, further)
    return streams


def _stream(examples: data.Examples, section: DataConfig | StreamConfig) -> data.Stream:
    episodes = episodes_of(section)
    order: Any = episodes or section.order
    return data.Stream(
        examples,
        episodes.batch_size if episodes else section.batch_size,
        augmentation=section.augmentation,
        views=section.views or None,
        order=order,
    )


def _positions(blueprint: Blueprint) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the training examples that are held out, those that are trained on, and the rest."""
    section = blueprint.config.data
    size = blueprint.dataset.split_sizes["train"]
    # A random choice, since some datasets are stored by class.
    order = np.asarray(data.epoch_order(jax.random.key(VALIDATION_SEED), 0, size))
    count = section.validation_examples
    left = order[count:]
    kept = len(left) if section.train_examples is None else section.train_examples
    # In the dataset's order, which reads files one after the other.
    return np.sort(order[:count]), np.sort(left[:kept]), np.sort(left[kept:])


def _check_extension(config: RunConfig, extend_to: int) -> None:
    if extend_to < config.epochs:
        raise ValueError(
            f"extend_to: {extend_to} epochs are fewer than the configuration's {config.epochs}"
        )
    if config.schedule.name == "cosine" and not config.schedule.final_factor:
        raise ValueError(
            f"extend_to: the cosine schedule ends at a learning rate of 0 after {config.epochs} "
            "epochs, so that a longer run would learn nothing; start a new run with more epochs"
        )
