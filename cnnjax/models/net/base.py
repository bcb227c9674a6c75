"""What every network of the zoo shares: its options, named features and layers made from them."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn, ops
from cnnjax.models.initializers import SCHEMES, Initializers
from cnnjax.models.net.field_checks import check_fields
from cnnjax.models.net.image_layout import check_pixels, naming_layout
from cnnjax.models.net.input_sizes import naming_sizes
from cnnjax.nn.activations import Activation

FEATURES = "features"


class Net(linen.Module):
    """A classification network: images in, logits out.

    A subclass writes `__call__(x, train=False)`, which follows its paper's table. It calls
    `self.feature(name, x)` on the activations that it names, and ends with `self.logits(x)`.

    Attributes:
        num_classes: number of logits.
        dtype: dtype of the computation; parameters are float32.
        backward: "ours" for the backward rules of `cnnjax.ops`, "native" for lax's autodiff.
        initialization: "paper" for the paper's own, "he", "xavier", "xavier_rectified" (twice
            that variance) or "lecun".

    Example:
        >>> import jax
        >>> import flax.linen as linen
        >>> from cnnjax.models.net import Net
        >>> class Small(Net):
        ...     @linen.compact
        ...     def __call__(self, x, train=False):
        ...         x = self.feature("conv1", self.conv(8, (3, 3), name="conv1")(x))
        ...         return self.logits(x.mean(axis=(1, 2)))
        >>> images = jax.ShapeDtypeStruct((2, 16, 16, 3), "float32")
        >>> logits, _ = jax.eval_shape(Small(10).init_with_output, jax.random.key(0), images)
        >>> logits.shape
        (2, 10)
    """

    num_classes: int = 1000
    dtype: Any = jnp.float32
    backward: str = "ours"
    initialization: str = "paper"

    # The layers whose outputs are logits, by their names among the parameters.
    classifiers: ClassVar[tuple[str, ...]] = ("classifier",)
    # The paper's own initialization; subclasses set theirs.
    paper_initializers: ClassVar[Initializers] = SCHEMES["he"]
    # Names of fields that a subclass adds, whose values are checked: ints of at least 1, or tuples
    # of these; numbers from 0 to 1, or tuples of these; and tuples with one entry for each stage.
    counts: ClassVar[tuple[str, ...]] = ()
    rates: ClassVar[tuple[str, ...]] = ()
    per_stage: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Checks the values of the fields.

        Raises:
            ValueError: a value is not allowed; the message names the field and the allowed values.
        """
        super().__post_init__()
        check_fields(self)

    @linen.nowrap
    def check_values(self, field: str, allowed: Callable[[Any], bool], what: str) -> None:
        """Checks a field's value, or every entry of its nested tuples.

        Args:
            field: name of the field.
            allowed: whether a value is allowed.
            what: the allowed values in words, for the message.

        Raises:
            ValueError: a value is not allowed; the message names the field and the allowed values.
        """
        value = getattr(self, field)
        if not all(allowed(entry) for entry in jax.tree.leaves(value)):
            entry = "each entry of " if isinstance(value, tuple) else ""
            raise ValueError(f"{type(self).__name__}: {entry}{field} must be {what}, got {value!r}")

    @linen.nowrap
    def field_choices(self) -> dict[str, tuple]:
        """Returns the allowed values of the fields that a subclass adds, by field."""
        return {}

    @property
    def class_layers(self) -> tuple[str, ...]:
        """Names of the layers whose shapes depend on the number of classes."""
        return self.classifiers

    @linen.nowrap
    def reset_layer(self, path: str, old: Any, num_classes: int, key: Any) -> dict[str, Any]:
        """Returns the new parameters of a layer whose shape depends on the number of classes.

        Args:
            path: of the layer, one of `class_layers`.
            old: its parameters.
            num_classes: the new number.
            key: for the new kernel.
        """
        kernel = old["kernel"]
        shape, dtype = (*kernel.shape[:-1], num_classes), kernel.dtype
        new = self.initializers.classifier(key, shape, dtype)
        return {"kernel": new, "bias": jnp.zeros((num_classes,), dtype)}

    @linen.nowrap
    def part(self, name: str) -> "Net":
        """Returns a part whose weights can be loaded by themselves, a network of its own.

        Args:
            name: of the part among the parameters.

        Raises:
            ValueError: this network has no such part.
        """
        raise ValueError(f"{type(self).__name__} has no part {name!r} with weights of its own")

    @linen.nowrap
    def init_with_output(self, rngs: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs Flax's method, with the errors of `checked_images`.

        Args:
            rngs: a key, or keys by stream.
            *args: of `__call__`, the images first.
            **kwargs: of `__call__` and of Flax's method.
        """
        with self.checked_images(None, args, kwargs):
            return super().init_with_output(rngs, *args, **kwargs)

    @linen.nowrap
    def apply(self, variables: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs Flax's method, with the errors of `checked_images`.

        Args:
            variables: the network's, by collection.
            *args: of `__call__`, the images first.
            **kwargs: of `__call__` and of Flax's method.
        """
        with self.checked_images(variables, args, kwargs):
            return super().apply(variables, *args, **kwargs)

    @linen.nowrap
    @contextlib.contextmanager
    def checked_images(
        self, variables: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[None]:
        """Explains errors within the block that the images cause, and how to fix them.

        Images of whole numbers raise a TypeError. The error of images with the channels first, or
        of images that are too small, names this cause.

        Args:
            variables: the network's; None while it is initialized.
            args: positional arguments of `__call__`.
            kwargs: keyword arguments of `__call__` and of Flax's method.
        """
        images = args[0] if args else kwargs.get("x")
        if images is None or kwargs.get("method") is not None:
            yield
            return
        check_pixels(self, images)
        with naming_layout(self, variables, images), naming_sizes(self, images):
            yield

    @property
    def initializers(self) -> Initializers:
        """The initializers that `initialization` names."""
        # "paper" is the one choice that is not among the schemes.
        return SCHEMES.get(self.initialization, self.paper_initializers)

    def feature(self, name: str, x: Array) -> Array:
        """Names an activation for `apply_with_features`, and returns it.

        Args:
            name: the feature's name.
            x: the activation.
        """
        # A feature at initialization would become a variable of the network.
        if not self.is_initializing() and self.is_mutable_collection(FEATURES):
            self.put_variable(FEATURES, name, x)
        return x

    def wants_auxiliary(self, head: str) -> bool:
        """Returns whether an auxiliary head is computed: at init, or where features are collected.

        Args:
            head: name of the head among the parameters.
        """
        if self.is_initializing():
            return True
        # Files of weights may lack the auxiliary heads.
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

    @property
    def activate(self) -> Activation:
        """The activation: the rectifier."""
        return ops.relu

    def norm_layer(self, train: bool, **fields: Any) -> Callable[..., Any]:
        """Returns `nn.BatchNorm` with this network's dtype and backward rules.

        Args:
            train: whether it uses the batch's statistics, not the running ones.
            **fields: further fields of the layer.
        """
        return functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            dtype=self.dtype,
            backward=self.backward,
            **fields,
        )

    def paper_bias(self, value: float) -> Any:
        """Returns the initializer of biases.

        Args:
            value: their first value in the paper's own initialization; in the others it is 0.
        """
        start = value if self.initialization == "paper" else 0.0
        return linen.initializers.constant(start)

    def logits(self, x: Float[Array, "batch values"]) -> Float[Array, "batch classes"]:
        """Applies the dense layer "classifier".

        Args:
            x: a row of values for each image.
        """
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
