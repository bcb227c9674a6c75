"""From a configuration to everything a run is made of, with every check that needs no data."""

from dataclasses import dataclass

import jax
import numpy as np
import optax
from flax import linen as nn

from cnnjax import data
from cnnjax.recipes.config import RunConfig
from cnnjax.recipes.framing import make_framing
from cnnjax.recipes.network import input_statistics, make_network
from cnnjax.recipes.optimizers import make_optimizer
from cnnjax.recipes.schedules import make_plateau, make_schedule
from cnnjax.recipes.shapes import check_shapes
from cnnjax.tasks import Classification
from cnnjax.training.errors import ConfigError
from cnnjax.training.step.freezing import freeze
from cnnjax.training.step.pipeline import Pipeline
from cnnjax.training.step.state import TrainState, create_state, init_variables
from cnnjax.training.step.step import Recipe

VALIDATION_SEED = 0
"""Which examples are held out: the same for every run, so that runs are compared on them."""


@dataclass(frozen=True)
class Plan:
    """A run before its first step.

    Attributes:
        config: what was asked for.
        dataset: the images.
        model: the network.
        task: what it learns.
        pipeline: how images become batches.
        schedule: the learning rate as a function of the step.
        framing: how photographs of many sizes get one; None for images that have one size.
        stored_shape: height, width and channels of what the pipeline takes.
        image_shape: height, width and channels of a network input.
        epoch_steps: steps of one epoch.
        total_steps: steps of the run.
    """

    config: RunConfig
    dataset: data.Dataset
    model: nn.Module
    task: Classification
    pipeline: Pipeline
    schedule: optax.Schedule
    framing: data.Framing | None
    stored_shape: tuple[int, int, int]
    image_shape: tuple[int, int, int]
    epoch_steps: int
    total_steps: int

    @property
    def eval_split(self) -> str:
        """Name of what is evaluated: "test", or "validation" where examples are held out."""
        return "validation" if self.config.data.validation_examples else "test"

    @property
    def recipe(self) -> Recipe:
        """How a batch becomes a step."""
        return Recipe(self.config.optimizer.accumulate, self.config.ema_decay)

    def optimizer(self, params: dict) -> optax.GradientTransformation:
        """Returns the update rule for these parameters."""
        plateau = make_plateau(self.config.schedule, self.epoch_steps)
        rule = make_optimizer(self.config.optimizer, self.schedule, params, plateau)
        return freeze(rule, self.config.optimizer.frozen, params)

    def init_state(self) -> TrainState:
        """Returns the state before the first step, the same for the same seed."""

        @jax.jit  # op by op, initialising takes longer than compiling it once
        def init(key: jax.Array) -> TrainState:
            variables = init_variables(self.model, key, self.image_shape)
            return create_state(
                variables,
                self.optimizer(variables["params"]),
                ema=self.config.ema_decay > 0,
                loss_scaling=self.config.precision == "float16",
            )

        return init(self.keys()["init"])

    def keys(self) -> dict[str, jax.Array]:
        """Returns the run's keys: for initial parameters, order, augmentation and dropout."""
        names = ("init", "order", "augment", "dropout")
        keys = jax.random.split(jax.random.key(self.config.seed), len(names))
        return dict(zip(names, keys, strict=True))

    def load_train(self, data_dir: str | None, resident: data.Resident = "auto") -> data.Examples:
        """Returns the training examples: those not held out, or as many of them as asked for."""
        _, kept = self._positions()
        return self._load("train", kept, data_dir, resident)

    def load_eval(self, data_dir: str | None, resident: data.Resident = "auto") -> data.Examples:
        """Returns the examples that are evaluated: the test split, or those held out."""
        if self.eval_split == "test":
            return self._load("test", None, data_dir, resident)
        held_out, _ = self._positions()
        return self._load("train", held_out, data_dir, resident)

    def _load(
        self, split: str, chosen: np.ndarray | None, data_dir: str | None, resident: data.Resident
    ) -> data.Examples:
        return data.load_examples(
            self.dataset, split, data_dir, framing=self.framing, chosen=chosen, resident=resident
        )

    def _positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns which examples of the training split are held out, and which are trained on."""
        size = self.dataset.split_sizes["train"]
        order = np.asarray(data.epoch_order(jax.random.key(VALIDATION_SEED), 0, size))
        count = self.config.data.validation_examples
        trained = order[count:][: self.config.data.train_examples]
        return np.sort(order[:count]), np.sort(trained)


def make_plan(config: RunConfig, extend_to: int | None = None, data_dir: str | None = None) -> Plan:
    """Builds what a run needs and checks it by shapes alone: nothing is compiled, read or written.

    Args:
        config: what is asked for.
        extend_to: train for this many epochs instead of the configuration's; the learning rate
            keeps the configuration's schedule, and past its end its last value.
        data_dir: TFDS data folder, where sets outside the catalogue are looked up; None means
            TFDS's default.

    Raises:
        ConfigError: some part cannot be made, or does not fit another.
    """
    try:
        return _make_plan(config, extend_to, data_dir)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _make_plan(config: RunConfig, extend_to: int | None, data_dir: str | None) -> Plan:
    dataset = data.dataset(config.data.name, data_dir)
    _check_splits(config, dataset)
    framing = make_framing(config.data, dataset)
    stored_shape = dataset.image_shape if framing is None else framing.shape
    assert stored_shape is not None  # of one size where there is no framing
    resize = config.data.resize if framing is None else None  # framing has done it
    mean, std = input_statistics(config, dataset, stored_shape[2])
    per_image = config.data.normalization == "image"
    preprocess = data.Preprocess(resize, config.data.pad, mean, std, per_image)
    task = Classification(
        dataset.class_names,
        config.loss.name,
        config.loss.label_smoothing,
        config.loss.auxiliary_weight,
    )
    model = make_network(config, dataset.num_classes)
    train_size = _train_size(config, dataset.split_sizes["train"])
    epoch_steps = data.steps_per_epoch(train_size, config.data.batch_size)
    if config.data.batch_size % config.optimizer.accumulate:
        raise ValueError(
            f"optimizer.accumulate: a batch of {config.data.batch_size} cannot be cut into "
            f"{config.optimizer.accumulate} equal parts; change it or data.batch_size"
        )
    scheduled_steps = config.epochs * epoch_steps
    schedule = make_schedule(
        config.schedule, config.optimizer.learning_rate, scheduled_steps, epoch_steps
    )
    total_steps = scheduled_steps
    if extend_to is not None:
        total_steps = _extended_steps(config, extend_to, epoch_steps)
    plan = Plan(
        config=config,
        dataset=dataset,
        model=model,
        task=task,
        pipeline=Pipeline(
            preprocess, data.parse_policy(config.data.augmentation), dataset.num_classes
        ),
        schedule=schedule,
        framing=framing,
        stored_shape=stored_shape,
        image_shape=preprocess.image_shape(stored_shape),
        epoch_steps=epoch_steps,
        total_steps=total_steps,
    )
    check_shapes(config, model, plan.pipeline.policy, plan.image_shape)
    jax.eval_shape(plan.init_state)  # the optimiser's rules
    return plan


def _train_size(config: RunConfig, split_size: int) -> int:
    """Returns the number of examples that are trained on."""
    left = split_size - config.data.validation_examples
    if left < 1:
        raise ValueError(
            f"data.validation_examples: {config.data.validation_examples} of {split_size} "
            "training examples leave none to train on"
        )
    asked = config.data.train_examples
    if asked is not None and asked > left:
        raise ValueError(
            f"data.train_examples: {asked} were asked for, but there are {left} to train on; "
            f"give {left} or less"
        )
    return left if asked is None else asked


def _check_splits(config: RunConfig, dataset: data.Dataset) -> None:
    if "train" not in dataset.split_sizes:
        raise ValueError(f"data.name: {dataset.name} has no training split")
    if "test" not in dataset.split_sizes and not config.data.validation_examples:
        raise ValueError(
            f"data.name: {dataset.name} has no test split; hold out some of its "
            f"{dataset.split_sizes['train']} training examples with data.validation_examples"
        )


def _extended_steps(config: RunConfig, extend_to: int, epoch_steps: int) -> int:
    if extend_to < config.epochs:
        raise ValueError(
            f"extend_to: {extend_to} epochs are fewer than the configuration's {config.epochs}"
        )
    name = config.schedule.name
    if name in ("cosine", "polynomial") and not config.schedule.final_factor:
        raise ValueError(
            f"extend_to: the {name} schedule ends at a learning rate of 0 after {config.epochs} "
            "epochs, so that a longer run would learn nothing; start a new run with more epochs"
        )
    return extend_to * epoch_steps
