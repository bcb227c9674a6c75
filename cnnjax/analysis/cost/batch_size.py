"""How many bytes a training step needs, and the largest batch that fits into a device."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from cnnjax.analysis.calls import training_arguments
from cnnjax.analysis.cost.summarize import shape_variables
from cnnjax.analysis.cost.tpu import described_chips, whole_on
from cnnjax.compiler import compiler_options


@dataclass(frozen=True)
class BatchFit:
    """The largest batch that fits.

    Attributes:
        batch: number of images.
        step_bytes: bytes of a compiled training step with that batch.
        predicted_bytes: bytes that a line through two small batches predicts for it.
        device_bytes: memory of the device.
    """

    batch: int
    step_bytes: int
    predicted_bytes: int
    device_bytes: int


def training_step_bytes(
    model: linen.Module,
    input_shape: Sequence[int],
    batch: int,
    *,
    optimizer: optax.GradientTransformation | None = None,
    dtype: Any = jnp.float32,
    platform: str | None = None,
    **apply_arguments: Any,
) -> int:
    """Returns the bytes of a training step, as XLA plans them; it is compiled, but not run.

    Parameters, optimizer state, other collections, the batch and everything in between count. The
    old state's memory is used for the new one.

    Args:
        model: any Flax module that returns logits [batch, classes].
        input_shape: height, width and channels of an image.
        batch: number of images.
        optimizer: SGD with momentum if None.
        dtype: dtype of the images.
        platform: None for the default device, "tpu" for a chip of TPU v5e, which need not be there
            (`pip install "cnnjax[tpu-aot]"`); compiling for it takes minutes.
        **apply_arguments: keyword arguments of `__call__`; training mode is chosen if not given.

    Returns:
        Bytes on the device; on TPU the program's own code counts, which is in the same memory.

    Raises:
        ValueError: the batch is below 1, or the platform is another.
        MissingPackage: the platform is "tpu", and libtpu is not installed.
    """
    if batch < 1:
        raise ValueError(f"training_step_bytes: batch {batch} is below 1")
    _check_platform("training_step_bytes", platform)
    optimizer = optimizer or optax.sgd(0.1, momentum=0.9)
    arguments = training_arguments(model, apply_arguments)
    images = jax.ShapeDtypeStruct((batch, *input_shape), dtype)
    labels = jax.ShapeDtypeStruct((batch,), jnp.int32)
    variables = dict(shape_variables(model, images, apply_arguments))
    params = variables.pop("params", {})
    state = (params, jax.eval_shape(optimizer.init, params), variables)
    key = jax.eval_shape(jax.random.key, 0)
    step = _training_step(model, optimizer, arguments)
    place: dict[str, Any] = {}
    if platform == "tpu":
        place = dict.fromkeys(("in_shardings", "out_shardings"), whole_on(described_chips()))
    # Donated, as in training, so that the new state takes the old state's memory.
    lowered = jax.jit(step, donate_argnums=0, **place).lower(state, images, labels, key)
    plan: Any = lowered.compile(compiler_options=compiler_options(platform)).memory_analysis()
    return (
        (plan.generated_code_size_in_bytes if platform == "tpu" else 0)
        + plan.argument_size_in_bytes
        + plan.output_size_in_bytes
        + plan.temp_size_in_bytes
        # The old state's memory, which counts as argument and as output.
        - plan.alias_size_in_bytes
    )


def _check_platform(function: str, platform: str | None) -> None:
    if platform not in (None, "tpu"):
        raise ValueError(
            f"{function}: platform must be None, for the default device, or 'tpu', got {platform!r}"
        )


def _training_step(
    model: linen.Module, optimizer: optax.GradientTransformation, arguments: Mapping[str, Any]
) -> Callable[..., Any]:
    """Returns step(state, images, labels, key), which gives the next state and the loss."""

    def step(state, images, labels, key):
        params, optimizer_state, rest = state

        def loss(params):
            logits, updates = model.apply(
                {"params": params, **rest},
                images,
                **arguments,
                rngs={"params": key, "dropout": key},
                mutable=list(rest),
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(
                logits.astype(jnp.float32), labels
            )
            return losses.mean(), updates

        (value, updates), grads = jax.value_and_grad(loss, has_aux=True)(params)
        changes, optimizer_state = optimizer.update(grads, optimizer_state, params)
        return (optax.apply_updates(params, changes), optimizer_state, {**rest, **updates}), value

    return step


def max_batch(
    model: linen.Module,
    device_bytes: int,
    input_shape: Sequence[int],
    *,
    optimizer: optax.GradientTransformation | None = None,
    small_batches: tuple[int, int] = (8, 16),
    dtype: Any = jnp.float32,
    platform: str | None = None,
    **apply_arguments: Any,
) -> BatchFit:
    """Returns the largest batch whose training step fits into a device's memory.

    A line through the bytes of two small batches predicts the batch. Its step is compiled too, and
    the batch is corrected until its step needs at most `device_bytes` and at least nine tenths of
    it (or one more image would be too many).

    Args:
        model: any Flax module that returns logits [batch, classes].
        device_bytes: memory of the device.
        input_shape: height, width and channels of an image.
        optimizer: SGD with momentum if None.
        small_batches: the two batch sizes that are compiled first.
        dtype: dtype of the images.
        platform: as in `training_step_bytes`. `roofline.CHIPS["v5e"].memory_bytes` is the memory of
            a chip.
        **apply_arguments: keyword arguments of `__call__`; training mode is chosen if not given.

    Returns:
        The batch, and what it needs.

    Raises:
        ValueError: not even a batch of 1 fits, `small_batches` are not two sizes above 0, or the
            platform is another.
        MissingPackage: the platform is "tpu", and libtpu is not installed.
    """
    _check_platform("max_batch", platform)

    def measure(batch: int) -> int:
        return training_step_bytes(
            *(model, input_shape, batch),
            optimizer=optimizer,
            dtype=dtype,
            platform=platform,
            **apply_arguments,
        )

    low, high = sorted(small_batches)
    if low == high or low < 1:
        raise ValueError(f"max_batch: small_batches {small_batches} must be two sizes above 0")
    return _largest_fit(measure, low, high, device_bytes)


def _largest_fit(measure: Callable[[int], int], low: int, high: int, device_bytes: int) -> BatchFit:
    """Returns the largest batch whose measured bytes fit, from a line through two batches."""
    known = {batch: measure(batch) for batch in (low, high)}
    # At least a byte for each image, so that the division below is defined.
    slope = max((known[high] - known[low]) / (high - low), 1.0)
    base = known[low] - slope * low
    batch = max(int((device_bytes - base) / slope), 1)
    while True:
        if batch not in known:
            known[batch] = measure(batch)
        best = max((b for b, need in known.items() if need <= device_bytes), default=0)
        too_many = min((b for b in known if b > best), default=None)
        # Close enough, or the next batch is known not to fit.
        if best and (known[best] >= 0.9 * device_bytes or too_many == best + 1):
            break
        if too_many == 1:
            raise ValueError(
                f"max_batch: a training step with one image needs {known[1]:,} bytes, but the "
                f"device has {device_bytes:,}; choose a smaller model, image or dtype"
            )
        # Through the last point, with its own slope per image, between what fits and what does not.
        batch += int((device_bytes - known[batch]) * batch / max(known[batch] - base, 1.0))
        if too_many is not None:
            batch = min(batch, too_many - 1)
        # Each turn measures a batch that is not known yet.
        batch = max(batch, best + 1)
    return BatchFit(best, known[best], round(base + slope * best), device_bytes)
