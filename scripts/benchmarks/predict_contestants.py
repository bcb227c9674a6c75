"""One prediction of a network in evaluation mode, in the ways that the benchmark compares."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import inference, models, nn, ops
from scripts.benchmarks.cases.whole_nets import WholeNet
from scripts.benchmarks.plain_flax import plain_layers
from scripts.benchmarks.step_contestants import torch_device

COLUMNS = ("ours", "folded", "native", "flax", "torch")


@dataclass
class Predictor:
    """A way to predict for one batch.

    Attributes:
        run: predicts, waits for it, and returns the logits as float32.
        compile_seconds: time to compile it; None where nothing is compiled before the first call.
    """

    run: Callable[[], np.ndarray]
    compile_seconds: float | None = None


def predictors(
    net: WholeNet, wanted: tuple[str, ...], dtype: str, with_torch: bool
) -> dict[str, Predictor]:
    """Returns the ways to predict, all with the same weights for the same batch.

    Args:
        net: the network and its batch.
        wanted: some of `COLUMNS`.
        dtype: of the networks' computation; parameters are float32.
        with_torch: whether PyTorch is installed and takes part.
    """
    model = models.create_model(net.model, dtype=jnp.dtype(dtype), **net.overrides)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((net.batch, *net.image)).astype(np.float32)
    variables = _drawn(jax.jit(model.init)(jax.random.key(0), images[:1]))
    native = model.clone(backward="native")
    made: dict[str, Predictor] = {}
    if "ours" in wanted:
        made["ours"] = _as_evaluated(model, variables, images)
    if "folded" in wanted:
        folded = inference.folded(model, variables, net.image)
        made["folded"] = _as_evaluated(folded.model, folded.variables, images)
    if "native" in wanted:
        made["native"] = _compiled(native, variables, images, {})
    if "flax" in wanted:
        made["flax"] = _compiled(native, variables, images, {}, plain=True)
    if "torch" in wanted and with_torch:
        made["torch"] = _torch(net, model, variables, images, dtype)
    return made


def _drawn(variables: Mapping[str, Any]) -> Any:
    """Returns the variables with running statistics that batch norm does not ignore."""
    generator = np.random.default_rng(1)

    def draw(path: Any, leaf: jax.Array) -> jax.Array:
        if path[-1].key == "var":
            return jnp.asarray(generator.uniform(0.5, 2, leaf.shape), leaf.dtype)
        if path[-1].key == "mean":
            return jnp.asarray(generator.normal(0, 0.1, leaf.shape), leaf.dtype)
        return leaf

    return jax.tree_util.tree_map_with_path(draw, variables)


def _as_evaluated(model: linen.Module, variables: Any, images: np.ndarray) -> Predictor:
    """Returns the prediction compiled as `evaluate` and `predict` compile it."""

    @ops.jit
    def predict(variables: Any, images: jax.Array) -> jax.Array:
        return nn.apply_network(model, variables, images, train=False)

    own = jax.tree.map(jnp.asarray, variables)
    batch = jnp.asarray(images)
    start = time.perf_counter()
    # The first call traces and runs it once, too.
    jax.block_until_ready(predict(own, batch))
    seconds = time.perf_counter() - start
    return Predictor(lambda: np.asarray(predict(own, batch), np.float32), seconds)


def _compiled(
    model: linen.Module,
    variables: Any,
    images: np.ndarray,
    options: Mapping[str, Any],
    plain: bool = False,
) -> Predictor:
    def predict(variables: Any, images: jax.Array) -> jax.Array:
        layers = linen.intercept_methods(plain_layers) if plain else contextlib.nullcontext()
        with layers:
            return nn.apply_network(model, variables, images, train=False)

    own = jax.tree.map(jnp.asarray, variables)
    batch = jnp.asarray(images)
    lowered = jax.jit(predict, compiler_options=dict(options)).lower(own, batch)
    start = time.perf_counter()
    program = lowered.compile()
    seconds = time.perf_counter() - start
    return Predictor(lambda: np.asarray(program(own, batch), np.float32), seconds)


def _torch(net: WholeNet, model: Any, variables: Any, images: np.ndarray, dtype: str) -> Predictor:
    import torch  # pyright: ignore[reportMissingImports]

    from scripts.benchmarks.pytorch.nets import torch_net

    device = torch_device()
    network = torch_net(net, model, variables).to(device).eval()
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)

    def run() -> np.ndarray:
        enabled = dtype == "bfloat16"
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=enabled):
            outputs = network(x)
        logits = outputs if isinstance(outputs, torch.Tensor) else outputs[0]
        return logits.float().cpu().numpy()

    return Predictor(run)
