"""A run before any example is read: its dataset, network, task and preprocessing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as linen

from cnnjax import data
from cnnjax.data.augment.language import call_names
from cnnjax.data.own_datasets import DATASETS, Splits, own_dataset, own_name
from cnnjax.extras import installed_with
from cnnjax.models.net import Net
from cnnjax.models.registry import record_model
from cnnjax.nn.activations import ACTIVATIONS
from cnnjax.recipes.config import parse_config
from cnnjax.recipes.framing import make_framing
from cnnjax.recipes.network import input_statistics, make_network
from cnnjax.recipes.optimizers import OPTIMIZERS
from cnnjax.recipes.schedules import SCHEDULES
from cnnjax.recipes.schema import RunConfig
from cnnjax.recipes.tasks import make_task, task_class
from cnnjax.tasks.base import Task
from cnnjax.tasks.registry import TASKS
from cnnjax.training.errors import ConfigError

with installed_with("train"):
    from ml_collections import ConfigDict


@dataclass(frozen=True)
class Blueprint:
    """A run's parts that need no examples.

    Attributes:
        config: the checked configuration.
        dataset: the dataset's description.
        own: the examples of a user's own dataset; None for others.
        model: the network.
        task: the task that it learns.
        preprocess: from stored images to network inputs.
        framing: how photographs of many sizes get one size; None for images of one size.
        stored_shape: height, width and channels of a stored image.
        parts: records of the parts that are not cnnjax's, so that a later process finds them.
    """

    config: RunConfig
    dataset: data.Dataset
    own: Splits | None
    model: linen.Module
    task: Task
    preprocess: data.Preprocess
    framing: data.Framing | None
    stored_shape: tuple[int, int, int]
    parts: tuple[Mapping[str, Any], ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a network input."""
        height, width, channels = self.preprocess.image_shape(self.stored_shape)
        return height, width, channels

    @property
    def split(self) -> str:
        """Name of the evaluated split: "test", or "validation" where examples are held out."""
        return "validation" if self.config.data.validation_examples else "test"


def make_blueprint(
    config: RunConfig | ConfigDict | Mapping[str, Any], data_dir: str | None = None
) -> Blueprint:
    """Returns the run that a configuration describes, without its examples.

    Args:
        config: a checked configuration, or nested settings that are checked here.
        data_dir: TFDS data folder, where sets outside the catalogue are looked up; None means
            TFDS's default.

    Raises:
        ConfigError: a part cannot be made, or does not fit another.
    """
    checked = parse_config(config)
    try:
        return _make_blueprint(checked, data_dir)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _make_blueprint(config: RunConfig, data_dir: str | None) -> Blueprint:
    kind = task_class(config.task.name)
    own = data.annotated_splits(config.data.name) or own_dataset(config.data.name)
    dataset = own.describe(config.data.name) if own else data.dataset(config.data.name, data_dir)
    dataset = dataset.limited_to(kind.part_kinds)
    framing = make_framing(config.data, dataset)
    stored_shape = dataset.image_shape if framing is None else framing.shape
    if stored_shape is None:
        raise ValueError(f"data.name: the images of {dataset.name} have no size")
    resize = config.data.resize if framing is None else None  # framing resizes already
    mean, std = input_statistics(config, dataset, stored_shape[2])
    per_image = config.data.normalization == "image"
    names = dataset.mask_names if kind.named_by == "mask" else dataset.class_names
    task = make_task(config.task, names)
    spec = own.train.spec if own else dataset.spec(stored_shape)
    outputs = task.outputs(spec)
    model = make_network(config, len(names) if outputs is None else outputs)
    return Blueprint(
        config=config,
        dataset=dataset,
        own=own,
        model=model,
        task=task,
        preprocess=data.Preprocess(resize, config.data.pad, mean, std, per_image),
        framing=framing,
        stored_shape=stored_shape,
        parts=_foreign_parts(config, model),
    )


def _foreign_parts(config: RunConfig, model: linen.Module) -> tuple[Mapping[str, Any], ...]:
    """Returns records of the parts that are not cnnjax's own."""
    section = config.data
    policies = [section.augmentation, *section.views.values()]
    for stream in section.streams.values():
        policies += [stream.augmentation, *stream.views.values()]
    named = [
        (TASKS, config.task.name),
        (OPTIMIZERS, config.optimizer.name),
        (SCHEDULES, config.schedule.name),
        *((DATASETS, name) for name in (section.name,) if own_name(name)),
        *((data.AUGMENTATIONS, name) for policy in policies for name in call_names(policy)),
    ]
    # A network of the zoo has this field where its activation is a choice.
    activation = getattr(model, "activation", None) if isinstance(model, Net) else None
    if activation is not None:
        named.append((ACTIVATIONS, activation))
    records = [record_model(config.model.name)]
    records += [registry.record(name) for registry, name in named]
    # Records are dictionaries, which no set can hold; a part that is named twice is kept once.
    unique = {repr(record): record for record in records if record}
    return tuple(unique.values())
