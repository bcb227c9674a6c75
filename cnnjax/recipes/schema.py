"""The schema of a run's configuration: every key with its type, default and range.

`config` reads configurations and checks them against it.
"""

from typing import Annotated, Any, Literal, TypeVar

from cnnjax.extras import installed_with
from cnnjax.parts import Registry
from cnnjax.recipes.optimizers import OPTIMIZERS
from cnnjax.recipes.schedules import SCHEDULES

with installed_with("train"):
    import pydantic
    from pydantic import AfterValidator, BeforeValidator, Field

Value = TypeVar("Value")


def _as_tuple(value: Any) -> Any:
    """Returns a list as a tuple: JSON has no tuples, and `frozen` models hold no lists."""
    if isinstance(value, list | tuple):
        return tuple(_as_tuple(item) for item in value)
    return value


def _known_to(registry: Registry) -> AfterValidator:
    """Returns a validator that accepts names of the registry, and paths."""

    def check(name: str) -> str:
        registry.check(name)
        return name

    return AfterValidator(check)


Rules = Annotated[tuple[tuple[str, Value], ...], BeforeValidator(_as_tuple)]
"""Pairs of a pattern and a value, see `cnnjax.patterns`; empty for the default."""


class Section(pydantic.BaseModel):
    """A part of the configuration, which refuses unknown keys and values of another type."""

    # pydantic protects names that start with `model_`, and a section may have such keys.
    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )


class ModelConfig(Section):
    """The network: a name of the model registry or a path, and values for its fields.

    With `weights` a new run starts from trained ones: the folder of a run, a safetensors file of
    torchvision, timm or cnnjax, or hub:NAME. A classifier for other classes keeps its
    initialization, and so does every array whose whole path a pattern of `fresh` matches, and every
    layer from `fresh_from` on, the name of a layer, block or stage, in the order of computation.
    With `part` the weights are those of one part of the network, "encoder", and all else stays
    fresh.
    """

    name: str = Field(
        default="resnet20_cifar",
        description="A name that models.list_models() has, or a path: my_package.nets:MyNet",
    )
    overrides: dict[str, Any] = Field(
        default={}, description="Values for fields of the network, by the fields' names"
    )
    weights: str = Field(
        default="", description="Start from them: a run's folder, a safetensors file, or hub:NAME"
    )
    part: str = ""
    fresh: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    fresh_from: str = ""


class StreamConfig(Section):
    """A further stream of training examples, beside the one that `data` itself describes.

    `name` is its dataset ("": that of the run). `examples` chooses from its training split:
    "trained", those that the run trains on; "rest", those that it neither trains on nor holds out;
    or "all". For another dataset only "all" makes sense. The other keys are those of `data`.
    """

    name: str = ""
    examples: Literal["trained", "rest", "all"] = "rest"
    batch_size: int = Field(default=128, ge=1)
    augmentation: str = ""
    views: dict[str, str] = {}
    order: Literal["shuffled", "balanced", "episodes"] = "shuffled"
    episodes: Annotated[tuple[int, ...], BeforeValidator(_as_tuple)] = ()


class DataConfig(Section):
    """The images, and the processing between their files and the network.

    `validation_examples` of the training split are held out and evaluated in place of the test
    split, so that the test split does not influence the choice of hyper-parameters. Of the others,
    `train_examples` are trained on (None: all), the same ones in every run.

    Images of one size are resized to squares of `resize` pixels. Photographs of many sizes are
    resized until their shorter side has `resize` pixels, and a square of `crop` (None: `resize`) is
    cut out: in evaluation the central one, in training one at a random place. With
    `crop_short_sides` (lowest, highest), training first resizes to a random length in place of
    `resize`. With `crop_areas` (lowest, highest), training cuts out a rectangle with a random share
    of the image's area. See `cnnjax.data.Framing`.

    `normalization` chooses the mean and the standard deviation by which pixels are normalized:
    "dataset", those of the dataset; "model", those in the model's registry entry (AlexNet's, for
    one, are for pixels up to 255 minus the mean); "image", each image's own (global contrast
    normalization).

    `views` gives several augmentations of each training example in place of `augmentation`, by the
    names that the batch has them under. `order` is "shuffled", "balanced" (all classes equally
    often) or "episodes" of `episodes` = (ways, shots, queries). `streams` holds further streams of
    training examples by name.
    """

    name: str = Field(
        default="digits",
        description="A dataset of the catalogue or of TFDS, folder:PATH, or my_package.data:load",
    )
    batch_size: int = Field(default=128, ge=1, description="Images in a step, on all devices")
    resize: int | None = Field(default=None, ge=1)
    crop: int | None = Field(default=None, ge=1)
    crop_short_sides: Annotated[tuple[int, ...], BeforeValidator(_as_tuple)] = ()
    crop_areas: Annotated[tuple[float, ...], BeforeValidator(_as_tuple)] = ()
    pad: int = Field(default=0, ge=0, description="Pixels added on each side, after resizing")
    normalization: Literal["dataset", "model", "image"] = "dataset"
    augmentation: str = Field(
        default="", description="What is done to training images, e.g. 'crop(4), flip, mixup(0.2)'"
    )
    validation_examples: int = Field(default=0, ge=0)
    train_examples: int | None = Field(default=None, ge=1)
    views: dict[str, str] = {}
    order: Literal["shuffled", "balanced", "episodes"] = "shuffled"
    episodes: Annotated[tuple[int, ...], BeforeValidator(_as_tuple)] = ()
    streams: dict[str, StreamConfig] = {}


class TaskConfig(pydantic.BaseModel):
    """The task: a name of the task registry or a path, and the task's own settings."""

    # Its further keys are the task's fields, which `complete_task` checks.
    model_config = pydantic.ConfigDict(extra="allow", frozen=True, strict=True)

    name: str = Field(
        default="classification",
        description="A task of the registry, or a path: my_package.tasks:MyTask",
    )

    @property
    def settings(self) -> dict[str, Any]:
        """The task's settings by name."""
        return dict(self.model_extra or {})


class OptimizerConfig(Section):
    """The update rule.

    `name` is one of optax's (`sgd`, `adam`, `adamw`, `rmsprop`, `lamb`, `lion`, `muon`, ...), one
    that you registered, or the path of a function `(learning_rate, **options)` that returns an
    `optax.GradientTransformation`, such as `my_package.optim:my_rule`. `options` are its further
    keyword arguments.

    `momentum` (None: 0.9 for `sgd` and `rmsprop`) is Adam's first decay rate too. `beta2` is the
    decay rate of the mean squared gradient, `epsilon` is added to that mean's root. Where they are
    None, optax's defaults hold.

    `gradient_clip` bounds the gradients' norm over all parameters, without the decay (None: no
    bound). `accumulate` cuts every batch into that many parts, whose gradients are added up before
    one update.

    Four lists of rules, pairs of a regular expression and a value, give a value to each parameter:
    that of the first expression which matches the parameter's whole path. Each parameter must match
    one, and each expression must be the first for some parameter. `decay`: whether weight decay
    acts (empty: on kernels only). `rates`: a factor of the learning rate (empty: 1). `frozen`:
    whether the parameter is not trained (empty: all are). `unfreeze`: the number of epochs for
    which it is not trained (empty: 0); then its optimizer starts as new, while schedules go on, and
    gradients are clipped by the norm of those of the same number. `layer_decay` makes the factors
    of `rates`: 1 for the last layer or block, and from each to the one before multiplied by it.
    """

    name: Annotated[str, _known_to(OPTIMIZERS)] = Field(
        default="sgd", description="A name of optax, or a path: my_package.optim:my_rule"
    )
    learning_rate: float = Field(default=0.1, gt=0, description="The schedule's peak")
    momentum: float | None = Field(default=None, ge=0, lt=1)
    nesterov: bool = Field(default=False, description="Nesterov's form of the momentum")
    beta2: float | None = Field(default=None, ge=0, lt=1)
    epsilon: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(
        default=0.0, ge=0, description="Factor by which parameters are drawn to zero"
    )
    gradient_clip: float | None = Field(default=None, gt=0)
    accumulate: int = Field(default=1, ge=1)
    decay: Rules[bool] = ()
    rates: Rules[float] = ()
    layer_decay: float | None = Field(default=None, gt=0, le=1)
    frozen: Rules[bool] = ()
    unfreeze: Rules[Annotated[int, Field(ge=0)]] = ()
    options: dict[str, Any] = {}


class ScheduleConfig(Section):
    """The learning rate over the run's steps.

    It rises linearly over `warmup_epochs`, then follows `name`:
    `constant`; `cosine` or `polynomial`, down to `final_factor` of the peak rate; `step`,
    multiplied by `factor` (None: 0.1) at each of `boundaries` (in epochs from the start, warm-up
    included); `exponential`, multiplied by `factor` over each epoch; `onecycle`, up and down;
    `plateau`, multiplied by `factor` (None: 0.1) whenever the mean training loss of an epoch has
    not been lower than the best one before for `patience` epochs; one that you registered, or the
    path of a function `(learning_rate, total_steps, epoch_steps, **options)` that returns an
    `optax.Schedule`, such as `my_package.rates:my_schedule`. `options` are further keyword
    arguments (see `cnnjax.recipes.schedules`).
    """

    name: Annotated[str, _known_to(SCHEDULES)] = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0)
    final_factor: float | None = Field(default=None, ge=0, le=1)
    boundaries: Annotated[tuple[float, ...], BeforeValidator(_as_tuple)] = ()
    factor: float | None = Field(default=None, gt=0, lt=1)
    patience: int = Field(default=5, ge=1)
    options: dict[str, Any] = {}


class BatchNormConfig(Section):
    """The examples that share their batch statistics.

    `scope` is "global": those of the whole batch, on all devices; "device": those on one device;
    "group": `group_size` of them.
    """

    scope: Literal["global", "device", "group"] = "global"
    group_size: int | None = Field(default=None, ge=1)


class RunConfig(Section):
    """A whole run: its keys together are its identity.

    `precision` is that of the computation; parameters and batch statistics are always float32.
    float16 scales its losses so that gradients neither overflow nor vanish. `ema_decay` keeps an
    exponential moving average of parameters and batch statistics, which is evaluated in their place
    (0: off). `initialization` is the paper's own ("paper"), or a scheme for all kernels; None for
    the network's default.

    The default run is a ResNet-20 on the embedded digits. It takes images of any size, so that the
    defaults fit every dataset whose images have one size.
    """

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    task: TaskConfig = TaskConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    batch_norm: BatchNormConfig = BatchNormConfig()
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    initialization: Literal["paper", "he", "xavier", "xavier_rectified", "lecun"] | None = None
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    epochs: int = Field(default=10, ge=1, description="Passes over the training examples")
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="Of parameters, order, augmentation and dropout"
    )
