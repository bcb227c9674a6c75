"""The parts of a run without its examples: its fields, its state, and whether they fit."""

from typing import Any

import jax
import numpy as np

from cnnjax import data
from cnnjax.recipes.blueprint import Blueprint, make_blueprint
from cnnjax.recipes.layer_order import layer_groups
from cnnjax.recipes.layer_rates import decayed_rates
from cnnjax.recipes.make_optimizer import make_optimizer
from cnnjax.recipes.make_schedule import make_plateau, make_schedule
from cnnjax.recipes.schema import DataConfig, OptimizerConfig, StreamConfig
from cnnjax.training.check import check_run
from cnnjax.training.devices.scope import BatchNormScope
from cnnjax.training.run import MAIN_STREAM, Run
from cnnjax.training.step.state import TrainState


def run_fields(blueprint: Blueprint) -> dict[str, Any]:
    """Returns the arguments of `Run`, but for its examples.

    Args:
        blueprint: the run.

    Raises:
        ValueError: the dataset has fewer examples than the configuration needs, or the schedule
            does not fit.
    """
    config = blueprint.config
    section = _with_rates(blueprint)
    steps = epoch_steps(blueprint)
    schedule = make_schedule(
        config.schedule, config.optimizer.learning_rate, config.epochs * steps, steps
    )
    plateau = make_plateau(config.schedule, steps)
    return {
        "model": blueprint.model,
        "task": blueprint.task,
        "optimizer": lambda params: make_optimizer(section, schedule, params, plateau),
        "epochs": config.epochs,
        "preprocess": blueprint.preprocess,
        "frozen": config.optimizer.frozen,
        "unfreeze": config.optimizer.unfreeze,
        "schedule": schedule,
        "accumulate": config.optimizer.accumulate,
        "ema_decay": config.ema_decay,
        "loss_scaling": config.precision == "float16",
        "batch_norm": BatchNormScope(config.batch_norm.scope, config.batch_norm.group_size),
        "split": blueprint.split,
        "seed": config.seed,
        "title": (config.model.name, config.data.name),
        "identity": config.model_dump(),
        "parts": blueprint.parts,
    }


def _with_rates(blueprint: Blueprint) -> OptimizerConfig:
    """Returns the section on the optimizer, with the factors of the rate that it asks for."""
    section = blueprint.config.optimizer
    if section.layer_decay is None:
        return section
    if section.rates:
        raise ValueError(
            "optimizer.layer_decay: optimizer.rates has factors of its own; leave one of them out"
        )
    groups = layer_groups(blueprint.model, blueprint.image_shape)
    return section.model_copy(update={"rates": decayed_rates(groups, section.layer_decay)})


def state_like(blueprint: Blueprint) -> TrainState:
    """Returns the shapes of a run's training state.

    Args:
        blueprint: the run.
    """
    train = _blank_stream(blueprint, blueprint.config.data)
    return jax.eval_shape(Run(train=train, **run_fields(blueprint)).init_state)


def check_blueprint(blueprint: Blueprint, data_dir: str | None = None) -> Run:
    """Refuses a configuration whose parts do not fit each other, before any example is read.

    Args:
        blueprint: the run.
        data_dir: TFDS data folder; None means TFDS's default.

    Returns:
        The run that was checked, on blank examples, with the shapes of its state.

    Raises:
        ValueError: parts do not fit; the message names the keys to change.
    """
    _check_splits(blueprint)
    _check_padding(blueprint)
    section = blueprint.config.data
    streams = {MAIN_STREAM: _blank_stream(blueprint, section)}
    spec = streams[MAIN_STREAM].examples.spec
    for name, further in section.streams.items():
        if name in (MAIN_STREAM, *spec):
            raise ValueError(f"data.streams: the name {name!r} is taken; choose another")
        if further.examples != "all" and further.name not in ("", section.name):
            raise ValueError(
                f"data.streams.{name}.examples: {further.examples!r} is of the run's own dataset; "
                f"for {further.name} give 'all'"
            )
        streams[name] = _blank_stream(stream_blueprint(blueprint, further, data_dir), further)
    run = Run(train=streams, **run_fields(blueprint))
    return run.replace(shapes=check_run(run))


def stream_blueprint(
    blueprint: Blueprint, stream: StreamConfig, data_dir: str | None = None
) -> Blueprint:
    """Returns the run with the dataset of a further stream in place of its own.

    Args:
        blueprint: the run.
        stream: the further stream's section.
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        ConfigError: the dataset is unknown, or a part of the run does not fit it.
    """
    config = blueprint.config
    if stream.name in ("", config.data.name):
        return blueprint
    # A stream has no streams of its own.
    section = config.data.model_copy(update={"name": stream.name, "streams": {}})
    return make_blueprint(config.model_copy(update={"data": section}), data_dir)


def _blank_stream(blueprint: Blueprint, section: DataConfig | StreamConfig) -> data.Stream:
    own = blueprint.own
    spec = own.train.spec if own else blueprint.dataset.spec(blueprint.stored_shape)
    size = episodes.batch_size if (episodes := episodes_of(section)) else section.batch_size
    arrays = {
        # One example as often as a batch is large: a view of it takes no memory.
        name: np.broadcast_to(value, (size, *value.shape[1:]))
        for name, value in data.blank_parts(spec, 1).items()
    }
    examples = data.ArrayExamples(arrays, {name: part.kind for name, part in spec.items()}, {})
    return data.Stream(
        examples, size, augmentation=section.augmentation, views=section.views or None
    )


def episodes_of(section: DataConfig | StreamConfig) -> data.Episodes | None:
    """Returns the episodes of a stream whose order is "episodes"; None for other orders.

    Args:
        section: the stream's section.

    Raises:
        ValueError: `episodes` does not give ways, shots and queries, or is given for another order.
    """
    if section.order != "episodes":
        if section.episodes:
            raise ValueError(
                f"data.episodes: {section.episodes} was given with the order {section.order}; it "
                'belongs to order="episodes": set that, or leave it out'
            )
        return None
    if len(section.episodes) != 3:
        raise ValueError(
            f"data.episodes: {section.episodes} was given; give (ways, shots, queries)"
        )
    return data.Episodes(*section.episodes)


def epoch_steps(blueprint: Blueprint) -> int:
    """Returns the number of steps of an epoch.

    Args:
        blueprint: the run.

    Raises:
        ValueError: the dataset has fewer examples than the configuration needs, or a batch cannot
            be cut into equal parts.
    """
    section = blueprint.config.data
    left = blueprint.dataset.split_sizes["train"] - section.validation_examples
    if left < 1:
        raise ValueError(
            f"data.validation_examples: {section.validation_examples} of "
            f"{blueprint.dataset.split_sizes['train']} training examples leave none to train on"
        )
    given = section.train_examples
    if given is not None and given > left:
        raise ValueError(
            f"data.train_examples: {given} was given, but there are {left} examples to train on; "
            f"give {left} or less"
        )
    size = episodes.batch_size if (episodes := episodes_of(section)) else section.batch_size
    parts = blueprint.config.optimizer.accumulate
    if size % parts:
        raise ValueError(
            f"optimizer.accumulate: a batch of {size} cannot be cut into {parts} equal parts; "
            "change it or data.batch_size"
        )
    return data.steps_per_epoch(left if given is None else given, size)


def _check_splits(blueprint: Blueprint) -> None:
    sizes = blueprint.dataset.split_sizes
    if "train" not in sizes:
        raise ValueError(f"data.name: {blueprint.dataset.name} has no training split")
    if "test" not in sizes and blueprint.split == "test":
        raise ValueError(
            f"data.name: {blueprint.dataset.name} has no test split; hold out some of its "
            f"{sizes['train']} training examples with data.validation_examples"
        )


def _check_padding(blueprint: Blueprint) -> None:
    """Refuses padding where boxes are predicted as shares of what the network sees."""
    pad, task = blueprint.config.data.pad, blueprint.task
    if pad and "boxes" in (task.part_kinds or ()):
        raise ValueError(
            f"data.pad: {pad} was given, but {type(task).__name__} predicts boxes as shares of the "
            "image's sides, which padding would shift; set it to 0, or resize"
        )
