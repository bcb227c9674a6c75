"""From a configuration to a run: parts, examples and streams."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from cnnjax import data
from cnnjax.recipes.blueprint import Blueprint, make_blueprint
from cnnjax.recipes.config import parse_config
from cnnjax.recipes.optimizers import make_optimizer
from cnnjax.recipes.schedules import make_plateau, make_schedule
from cnnjax.recipes.schema import DataConfig, RunConfig, StreamConfig
from cnnjax.training.devices import processes
from cnnjax.training.devices.scope import BatchNormScope
from cnnjax.training.errors import ConfigError
from cnnjax.training.run import MAIN_STREAM, Run
from cnnjax.training.step.state import TrainState

VALIDATION_SEED = 0
"""Which examples are held out: the same for every run, so that runs are compared on them."""


def make_run(
    config: RunConfig | Mapping[str, Any],
    *,
    extend_to: int | None = None,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> Run:
    """Returns the run that a configuration describes, with its examples.

    Args:
        config: what is asked for: nested settings, a `ConfigDict`, or a checked configuration.
        extend_to: train for this many epochs instead of the configuration's; the learning rate
            keeps the configuration's schedule, and past its end its last value.
        data_dir: TFDS data folder; None means TFDS's default.
        read: whether images are kept in memory.

    Raises:
        ConfigError: some part cannot be made, or does not fit another.
        DataError: the images are not prepared, gone, or not what they should be.
    """
    checked = parse_config(config)
    blueprint = make_blueprint(checked, data_dir)
    try:
        return _make_run(blueprint, extend_to, data_dir, read)
    except data.DataError:  # what is wrong is not the configuration
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _make_run(
    blueprint: Blueprint, extend_to: int | None, data_dir: str | None, read: data.ReadOptions
) -> Run:
    _check_splits(blueprint)
    fields = _fields(blueprint, _epoch_steps(blueprint))
    if extend_to is not None:
        _check_extension(blueprint.config, extend_to)
    with processes.first_before_others():  # the first to come may have to build the set
        streams = _streams(blueprint, data_dir, read)
        test = load_evaluated(blueprint, data_dir, read)
    return Run(train=streams, test=test, total_epochs=extend_to, **fields)


def _fields(blueprint: Blueprint, epoch_steps: int) -> dict[str, Any]:
    """Returns all of a run but its examples."""
    config = blueprint.config
    schedule = make_schedule(
        config.schedule, config.optimizer.learning_rate, config.epochs * epoch_steps, epoch_steps
    )
    plateau = make_plateau(config.schedule, epoch_steps)
    return {
        "model": blueprint.model,
        "task": blueprint.task,
        "optimizer": lambda params: make_optimizer(config.optimizer, schedule, params, plateau),
        "epochs": config.epochs,
        "preprocess": blueprint.preprocess,
        "frozen": config.optimizer.frozen,
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


def state_like(blueprint: Blueprint) -> TrainState:
    """Returns the shapes of the training state of a run, which needs no examples."""
    placeholder = data.from_arrays(image=np.zeros((1, *blueprint.stored_shape), np.uint8))
    run = Run(train=placeholder, **_fields(blueprint, _epoch_steps(blueprint)))
    return jax.eval_shape(run.init_state)


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
        framing: how photographs are framed, where not as in the run.

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
    )


def _streams(
    blueprint: Blueprint, data_dir: str | None, read: data.ReadOptions
) -> dict[str, data.Stream]:
    section = blueprint.config.data
    _, trained, rest = _positions(blueprint)
    main = _load(blueprint, "train", trained, data_dir, read)
    streams = {MAIN_STREAM: _stream(main, section)}
    for name, further in section.streams.items():
        if name in (MAIN_STREAM, *main.spec):
            raise ValueError(f"data.streams: the name {name!r} is taken; choose another")
        if further.name in ("", section.name):
            chosen = {"trained": trained, "rest": rest, "all": np.sort([*trained, *rest])}
            positions = chosen[further.examples]
            if not len(positions):
                raise ValueError(
                    f"data.streams.{name}.examples: {further.examples!r} are none; set "
                    "data.train_examples to less than there are"
                )
            examples = _load(blueprint, "train", positions, data_dir, read)
        else:
            examples = _load_other(blueprint, name, further, data_dir, read)
        streams[name] = _stream(examples, further)
    return streams


def _load_other(
    blueprint: Blueprint,
    stream: str,
    further: StreamConfig,
    data_dir: str | None,
    read: data.ReadOptions,
) -> data.Examples:
    if further.examples != "all":
        raise ValueError(
            f"data.streams.{stream}.examples: {further.examples!r} is of the run's own dataset; "
            f"for {further.name} give 'all'"
        )
    config = blueprint.config
    section = config.data.model_copy(update={"name": further.name, "streams": {}})
    other = make_blueprint(config.model_copy(update={"data": section}), data_dir)
    return _load(other, "train", None, data_dir, read)


def _stream(examples: data.Examples, section: DataConfig | StreamConfig) -> data.Stream:
    order: Any = section.order
    size = section.batch_size
    if order == "episodes":
        if len(section.episodes) != 3:
            raise ValueError(
                f"data.episodes: {section.episodes} was given; give (ways, shots, queries)"
            )
        order = data.Episodes(*section.episodes)
        size = order.batch_size
    return data.Stream(
        examples,
        size,
        augmentation=section.augmentation,
        views=section.views or None,
        order=order,
    )


def _positions(blueprint: Blueprint) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns which training examples are held out, which are trained on, and which are left."""
    section = blueprint.config.data
    size = blueprint.dataset.split_sizes["train"]
    order = np.asarray(data.epoch_order(jax.random.key(VALIDATION_SEED), 0, size))
    count = section.validation_examples
    left = order[count:]
    kept = len(left) if section.train_examples is None else section.train_examples
    return np.sort(order[:count]), np.sort(left[:kept]), np.sort(left[kept:])


def _epoch_steps(blueprint: Blueprint) -> int:
    section = blueprint.config.data
    left = blueprint.dataset.split_sizes["train"] - section.validation_examples
    if left < 1:
        raise ValueError(
            f"data.validation_examples: {section.validation_examples} of "
            f"{blueprint.dataset.split_sizes['train']} training examples leave none to train on"
        )
    asked = section.train_examples
    if asked is not None and asked > left:
        raise ValueError(
            f"data.train_examples: {asked} were asked for, but there are {left} to train on; "
            f"give {left} or less"
        )
    size = section.batch_size
    if section.order == "episodes" and len(section.episodes) == 3:
        size = data.Episodes(*section.episodes).batch_size
    parts = blueprint.config.optimizer.accumulate
    if size % parts:
        raise ValueError(
            f"optimizer.accumulate: a batch of {size} cannot be cut into {parts} equal parts; "
            "change it or data.batch_size"
        )
    return data.steps_per_epoch(left if asked is None else asked, size)


def _check_splits(blueprint: Blueprint) -> None:
    sizes = blueprint.dataset.split_sizes
    if "train" not in sizes:
        raise ValueError(f"data.name: {blueprint.dataset.name} has no training split")
    if "test" not in sizes and blueprint.split == "test":
        raise ValueError(
            f"data.name: {blueprint.dataset.name} has no test split; hold out some of its "
            f"{sizes['train']} training examples with data.validation_examples"
        )


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
