"""A training run made of objects, described completely before its first step."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from cnnjax import compiler, data, nn
from cnnjax.tasks.base import Batch, Task
from cnnjax.training.check_examples import check_examples
from cnnjax.training.check_fields import WHOLE, check_fields, no_transformation
from cnnjax.training.check_rules import check_unfreeze
from cnnjax.training.devices.scope import BatchNormScope
from cnnjax.training.errors import ConfigError
from cnnjax.training.start import Start
from cnnjax.training.step.batch import Pipeline, Stored, kinds_of
from cnnjax.training.step.freezing import Freezing
from cnnjax.training.step.keys import order_key, run_keys
from cnnjax.training.step.state import TrainState, create_state
from cnnjax.training.step.step import StepOptions

MAIN_STREAM = "train"
"""Name of the only stream, where a run has just one."""

Optimizer = optax.GradientTransformation | Callable[[Any], optax.GradientTransformation]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training run before its first step.

    Attributes:
        model: the network, any Linen module.
        task: what it learns.
        train: the examples to train on; a `data.Stream`, or several by name, of which the first
            sets the epoch.
        test: the examples to evaluate; None for none.
        optimizer: an optax transformation, or a function from parameters to one.
        epochs: number of passes through the examples of the first stream.
        batch_size: examples of a step, where `train` is examples.
        augmentation: that of training examples, where `train` is examples: a policy such as
            "crop(4), flip", a function `(key, example) -> example`, or a sequence of those.
        preprocess: scaling, size and normalization of images.
        frozen: patterns of parameters that stay as they are, with the batch statistics beside them;
            or pairs of a pattern and whether it freezes.
        unfreeze: pairs of a pattern and the number of epochs before its parameters are trained.
        schedule: the learning rate as a function of the step, which is logged; None if unknown.
        accumulate: number of parts into which a batch is cut, one after another.
        ema_decay: decay of moving averages of the variables, which are then what is evaluated; 0
            for none.
        loss_scaling: whether losses are scaled, as a network that computes in float16 needs it.
        batch_norm: which examples share batch statistics.
        split: what `test` is: "test", or "validation" where it chooses the best checkpoint.
        variables: the variables to start from; None for the network's own initialization.
        start: another source of the variables of a new run; None where there is none.
        total_epochs: number of epochs of a run that is longer than `epochs`, which stays part of
            its identity.
        seed: seed of initialization, order, augmentation and dropout.
        title: names of network and data, for logs and reports.
        identity: JSON values that distinguish the run from others; None to make them from the
            parts.
        parts: records of foreign parts, for the names of such parts in the identity.
        shapes: shapes of the state before the first step, as `check_run` found them; a run that has
            them is not checked again. None for a run that is not checked.
    """

    model: linen.Module
    task: Task
    train: data.Examples | data.Stream | Mapping[str, data.Stream]
    test: data.Examples | None = None
    optimizer: Optimizer
    epochs: int = 1
    batch_size: int = 128
    augmentation: Any = ""
    preprocess: data.Preprocess = field(default_factory=data.Preprocess)
    frozen: Sequence[str] | Sequence[tuple[str, bool]] = ()
    unfreeze: Sequence[tuple[str, int]] = ()
    schedule: optax.Schedule | None = None
    accumulate: int = 1
    ema_decay: float = 0.0
    loss_scaling: bool = False
    batch_norm: BatchNormScope = field(default_factory=BatchNormScope)
    split: str = "test"
    variables: Mapping[str, Any] | None = None
    start: Start | None = None
    total_epochs: int | None = None
    seed: int = 0
    title: tuple[str, str] | None = None
    identity: Mapping[str, Any] | None = None
    parts: tuple[Mapping[str, Any], ...] = ()
    shapes: TrainState | None = None

    def __post_init__(self) -> None:
        """Refuses values of which no run can be made."""
        check_fields(self)
        for name in WHOLE:
            # NumPy's whole numbers have no form in JSON.
            object.__setattr__(self, name, int(getattr(self, name)))
        check_unfreeze(self.unfreeze, self.epochs)
        if self.variables is not None and self.start is not None:
            raise ConfigError("start: variables are given too; leave one of them out")
        check_examples(self.train, self.test)

    @cached_property
    def streams(self) -> dict[str, data.Stream]:
        """The streams by name; the first one sets the epoch."""
        if isinstance(self.train, Mapping):
            return dict(self.train)
        if isinstance(self.train, data.Stream):
            return {MAIN_STREAM: self.train}
        size = self.batch_size
        try:
            return {MAIN_STREAM: data.Stream(self.train, size, augmentation=self.augmentation)}
        except ValueError as error:
            raise ConfigError(str(error)) from error

    @cached_property
    def main(self) -> data.Stream:
        """The stream that sets the epoch."""
        return next(iter(self.streams.values()))

    @cached_property
    def orders(self) -> dict[str, data.Order]:
        """The order of each stream's examples, by the stream's name."""
        made = {}
        for number, (name, stream) in enumerate(self.streams.items()):
            key = order_key(self.keys["order"], number)
            try:
                made[name] = stream.make_order(key, first=number == 0)
            except ValueError as error:
                raise ConfigError(str(error)) from error
        return made

    @cached_property
    def pipelines(self) -> dict[str, Pipeline]:
        """How each stream's stored examples become its part of a batch."""
        names = getattr(self.task, "class_names", None)
        return {
            name: Pipeline(
                self.preprocess,
                stream.policies,
                kinds_of(stream.examples),
                number,
                self.orders[name].repeats,
                None if names is None else len(names),
            )
            for number, (name, stream) in enumerate(self.streams.items())
        }

    def make_batch(
        self, stored: Mapping[str, Stored], step: Array | int, axis_name: str | None = None
    ) -> Batch:
        """Returns the training batch of a step: the first stream's parts, others under their names.

        Args:
            stored: each stream's examples as they are stored; see `Pipeline.make`.
            step: number of steps done.
            axis_name: mapped axis over which the batch is spread, where there is one.
        """
        batch: dict[str, Any] = {}
        for number, (name, pipeline) in enumerate(self.pipelines.items()):
            block = step // self.orders[name].block_steps
            made = pipeline.make(stored[name], self.keys["augment"], block, step, axis_name)
            batch |= made if number == 0 else {name: made}
        return batch

    @property
    def first_batch_size(self) -> int:
        """Examples of a step in the first stream."""
        return self.orders[next(iter(self.streams))].batch_size

    @cached_property
    def epoch_steps(self) -> int:
        """Steps of one epoch."""
        return max(len(self.main.examples) // self.first_batch_size, 1)

    @property
    def total_steps(self) -> int:
        """Steps of the run."""
        return (self.total_epochs or self.epochs) * self.epoch_steps

    @cached_property
    def keys(self) -> dict[str, jax.Array]:
        """The run's keys: of initial parameters, order, augmentation and dropout."""
        return run_keys(self.seed)

    @property
    def options(self) -> StepOptions:
        """How a batch becomes a step."""
        return StepOptions(self.accumulate, self.ema_decay)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of a network input, as evaluation gives it."""
        height, width, channels = self.main.examples.spec["image"].shape
        return self.preprocess.image_shape((height, width, channels))

    @cached_property
    def freezing(self) -> Freezing:
        """Which parameters are not trained, and until when."""
        return Freezing.of(self.frozen, self.unfreeze)

    def phase(self, step: int) -> int:
        """Returns the epoch since which the parameters are trained that a step trains.

        Args:
            step: number of steps done.
        """
        return self.freezing.phase(step // self.epoch_steps) if self.unfreeze else 0

    def frozen_norms(self, variables: Mapping[str, Any], epoch: int = 0) -> tuple[str, ...]:
        """Returns the paths of batch norms all of whose parameters are frozen.

        Args:
            variables: the network's.
            epoch: number of epochs done.
        """
        if not self.frozen and not self.unfreeze:
            return ()
        return nn.frozen_norms(variables, self.freezing.frozen(variables["params"], epoch))

    def make_optimizer(self, params: Any, epoch: int = 0) -> optax.GradientTransformationExtraArgs:
        """Returns the update rule for the parameters that are not frozen.

        Args:
            params: the network's parameters.
            epoch: number of epochs done.
        """
        rule = self.optimizer
        if not isinstance(rule, optax.GradientTransformation):
            try:
                rule = rule(params)
            except TypeError as error:
                raise ConfigError(
                    f"optimizer: as a function of the parameters it fails ({error}); give an optax "
                    "transformation, such as optax.sgd(0.1), or a function that returns one"
                ) from error
            if not isinstance(rule, optax.GradientTransformation):
                raise ConfigError(f"optimizer: as its function's result, {no_transformation(rule)}")
        return self.freezing.wrap(rule, params, epoch)

    def init_state(self) -> TrainState:
        """Returns the state before the first step, the same for the same seed."""
        images = jnp.zeros((1, *self.image_shape), jnp.float32)

        def init(key: jax.Array) -> dict[str, Any]:
            return nn.init_network(self.model, key, images)

        # Initializing without `jit`, one operation at a time, takes longer.
        if self.start is None:
            first = compiler.jit(lambda key: self.first_state(init(key)), runs_once=True)
            return first(self.keys["init"])
        variables = self.start.variables(compiler.jit(init, runs_once=True)(self.keys["init"]))
        return compiler.jit(self.first_state, runs_once=True)(variables)

    def first_state(self, initialized: Mapping[str, Any]) -> TrainState:
        """Returns the state before the first step.

        Args:
            initialized: the network's own initialization, of which the run's `variables` replace
                the collections that they have.
        """
        variables = {**initialized, **(self.variables or {})}
        return create_state(
            variables,
            self.make_optimizer(variables["params"]),
            ema=self.ema_decay > 0,
            loss_scaling=self.loss_scaling,
            task_state=self.task.init_state(),
        )

    @property
    def names(self) -> tuple[str, str]:
        """Names of the network and of the data."""
        return self.title or (type(self.model).__name__, "arrays")

    def replace(self, **changes: Any) -> "Run":
        """Returns the run with some fields changed.

        Args:
            **changes: new values by field.
        """
        # Every other field may change the shapes, or make the run one that cannot work.
        kept = self.shapes if set(changes) <= {"total_epochs"} else None
        return dataclasses.replace(self, **{"shapes": kept, **changes})
