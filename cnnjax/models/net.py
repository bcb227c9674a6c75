"""What every network of the zoo shares: its options, named features and layers made from them."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.models.image_layout import check_pixels, naming_layout
from cnnjax.models.initializers import SCHEMES, Initializers
from cnnjax.models.input_sizes import square_sizes, telling_sizes

FEATURES = "features"
SLIDING = "sliding"
"""While this collection is mutable, dense layers on flattened maps slide over larger ones."""


class Net(linen.Module):
    """A classification network: images in, logits out.

    A subclass writes `__call__(x, train=False)` and reads as its paper's table. It calls
    `self.feature(name, x)` on the activations that it names, and its last layer `self.classifier`.

    Attributes:
        num_classes: number of logits.
        dtype: dtype of the computation; parameters are float32.
        backward: "ours" for the backward rules of `cnnjax.ops`, "native" for lax's autodiff.
        initialization: "paper" for the paper's own, "he", "xavier" or "lecun".
    """

    num_classes: int = 1000
    dtype: Any = jnp.float32
    backward: str = "ours"
    initialization: str = "paper"

    # The layers whose outputs are logits, by their names among the parameters.
    classifiers: ClassVar[tuple[str, ...]] = ("classifier",)
    # The paper's own initialization; subclasses set theirs.
    paper_initializers: ClassVar[Initializers] = SCHEMES["he"]
    # Fields that a subclass adds: ints of at least 1, or tuples of such; numbers from 0 to 1, or
    # tuples of such; and tuples with as many entries as each other, one for each stage.
    counts: ClassVar[tuple[str, ...]] = ()
    rates: ClassVar[tuple[str, ...]] = ()
    per_stage: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuses field values that are not allowed.

        Raises:
            ValueError: naming the field, the value and what is allowed.
        """
        super().__post_init__()
        choices = {"backward": ("ours", "native"), "initialization": ("paper", *SCHEMES)}
        for field, allowed in {**choices, **self.field_choices()}.items():
            value = getattr(self, field)
            if value not in allowed:
                raise ValueError(
                    f"{type(self).__name__}: {field} must be one of {allowed}, got {value!r}"
                )
        for field in ("num_classes", *self.counts):
            self.check_values(field, is_count, "an int of at least 1")
        for field in self.rates:
            self.check_values(field, is_rate, "a number from 0 to 1")
        lengths = {field: len(getattr(self, field)) for field in self.per_stage}
        if len(set(lengths.values())) > 1:
            given = ", ".join(f"{field}={getattr(self, field)!r}" for field in lengths)
            raise ValueError(
                f"{type(self).__name__}: {' and '.join(lengths)} must have as many entries, one "
                f"for each stage, got {given}"
            )
        if self.dtype is not None and not jnp.issubdtype(self.dtype, jnp.floating):
            raise ValueError(
                f"{type(self).__name__}: dtype must be a floating one, such as jnp.bfloat16, got "
                f"{self.dtype!r}"
            )

    def check_values(self, field: str, allowed: Callable[[Any], bool], what: str) -> None:
        """Refuses a field with a value, or an entry in nested tuples, that is not allowed.

        Raises:
            ValueError: naming the field, its value and what is allowed.
        """
        value = getattr(self, field)
        if not all(allowed(entry) for entry in jax.tree.leaves(value)):
            entry = "each entry of " if isinstance(value, tuple) else ""
            raise ValueError(f"{type(self).__name__}: {entry}{field} must be {what}, got {value!r}")

    def field_choices(self) -> dict[str, tuple]:
        """The allowed values of the fields that a subclass adds."""
        return {}

    @linen.nowrap
    def init_with_output(self, rngs: Any, *args: Any, **kwargs: Any) -> Any:
        """Flax's method; errors about the images say what to do, see `checked_images`."""
        with self.checked_images(None, args, kwargs):
            return super().init_with_output(rngs, *args, **kwargs)

    @linen.nowrap
    def apply(self, variables: Any, *args: Any, **kwargs: Any) -> Any:
        """Flax's method; errors about the images say what to do, see `checked_images`."""
        with self.checked_images(variables, args, kwargs):
            return super().apply(variables, *args, **kwargs)

    @linen.nowrap
    @contextlib.contextmanager
    def checked_images(
        self, variables: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[None]:
        """Within the block, errors about the images among the arguments of `__call__` help.

        Whole numbers are refused; images with the channels first, or too small, are named so.
        """
        images = args[0] if args else kwargs.get("x")
        if images is None or kwargs.get("method") is not None:
            yield
            return
        check_pixels(self, images)
        with naming_layout(self, variables, images), telling_sizes(self, images):
            yield

    @property
    def initializers(self) -> Initializers:
        """The initializers that `initialization` names."""
        return SCHEMES.get(self.initialization, self.paper_initializers)

    def feature(self, name: str, x: Array) -> Array:
        """Names an activation, for `apply_with_features`, and returns it."""
        if not self.is_initializing() and self.is_mutable_collection(FEATURES):
            self.put_variable(FEATURES, name, x)
        return x

    def wants_auxiliary(self, head: str) -> bool:
        """Whether the auxiliary head is to be computed: at init, or when features are asked for."""
        if self.is_initializing():
            return True
        return self.is_mutable_collection(FEATURES) and self.has_variable("params", head)

    @property
    def conv(self) -> functools.partial:
        """`nn.Conv` with this network's dtype, backward rules and initializers."""
        return functools.partial(
            nn.Conv,
            dtype=self.dtype,
            backward=self.backward,
            kernel_init=self.initializers.conv,
        )

    @property
    def dense(self) -> functools.partial:
        """`nn.Dense` with this network's dtype, initializers and backward rules."""
        return functools.partial(
            nn.Dense,
            dtype=self.dtype,
            kernel_init=self.initializers.dense,
            backward=self.backward,
        )

    def norm(self, train: bool, **fields: Any) -> functools.partial:
        """`nn.BatchNorm` with this network's dtype; `train` uses the batch's own."""
        return functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            dtype=self.dtype,
            backward=self.backward,
            **fields,
        )

    def paper_bias(self, value: float) -> Any:
        """The initializer of biases that start at `value` in the paper's own initialization."""
        start = value if self.initialization == "paper" else 0.0
        return linen.initializers.constant(start)

    def logits(self, x: Float[Array, "batch values"]) -> Float[Array, "batch classes"]:
        """The dense layer "classifier"."""
        kernel_init = self.initializers.classifier
        return self.dense(self.num_classes, kernel_init=kernel_init, name="classifier")(x)

    @property
    def response_norm_layer(self) -> functools.partial:
        """`nn.LocalResponseNorm` with this network's backward rules."""
        return functools.partial(nn.LocalResponseNorm, backward=self.backward)

    @property
    def max_pool(self) -> functools.partial:
        """`nn.MaxPool` with this network's backward rules."""
        return functools.partial(nn.MaxPool, backward=self.backward)

    @property
    def avg_pool(self) -> functools.partial:
        """`nn.AvgPool` with this network's backward rules."""
        return functools.partial(nn.AvgPool, backward=self.backward)


def is_count(value: Any) -> bool:
    """Whether a value is an int of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_rate(value: Any) -> bool:
    """Whether a value is a number from 0 to 1."""
    return isinstance(value, int | float) and 0 <= value <= 1


def flat(
    module: linen.Module,
    layer: str,
    x: Float[Array, "batch height width channels"],
    remedy: str | None = None,
) -> Float[Array, "batch values"]:
    """The values of each image in one row (height, width, channels), for a dense layer.

    Args:
        module: the bound module that the dense layer belongs to.
        layer: name of the dense layer that follows.
        x: feature maps.
        remedy: what to do about images of another size; None to say which sizes work.

    Returns:
        An array of shape [batch, height * width * channels]; while the collection `SLIDING` is
        mutable, one row for each place of the layer's window on larger maps, image by image.

    Raises:
        ValueError: the layer's weights were made for maps of another size.
    """
    values = x.reshape(x.shape[0], -1)
    if not module.has_variable("params", layer):
        return values
    inputs = module.variables["params"][layer]["kernel"].shape[0]
    if inputs == values.shape[1]:
        return values
    side = math.isqrt(inputs // x.shape[-1])
    slides = module.is_mutable_collection(SLIDING) and not module.is_initializing()
    if slides and side * side * x.shape[-1] == inputs and side <= min(x.shape[1:3]):
        return ops.im2col(x, side, padding="VALID").reshape(-1, inputs)
    if remedy is None:
        # The channels of the images do not matter here: groups begin after the first layer.
        sizes = square_sizes(module.clone(parent=None, name=None), layer, inputs, channels=3)
        remedy = "no square images give that many"
        if sizes is not None:
            low, high = sizes
            remedy = f"square images from {low}x{low} to {high}x{high} work"
    given = "x".join(map(str, x.shape[1:]))
    raise ValueError(
        f"{'/'.join((*module.path, layer))}: its weights are for {inputs} values an image, but "
        f"these images give {values.shape[1]} ({given}); {remedy}"
    )
