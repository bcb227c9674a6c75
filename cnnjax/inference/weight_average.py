"""Stochastic weight averaging: the mean of several weights, and renewed batch statistics."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import compiler, data, nn
from cnnjax.inference.load import load_checkpoints
from cnnjax.inference.network import Network
from cnnjax.models.fractalnet import FractalNet
from cnnjax.recipes.make_run import make_run
from cnnjax.training.errors import ConfigError
from cnnjax.training.folder.run_folder import read_identity
from cnnjax.training.run import Run

STATISTICS = "batch_stats"


def average_checkpoints(
    workdir: str | Path,
    *,
    last: int | None = None,
    steps: Sequence[int] = (),
    run: Run | None = None,
    batch_size: int = 128,
    data_dir: str | None = None,
) -> Network:
    """Returns the mean of a run's checkpoints as one network, its batch statistics renewed.

    The checkpoints are best from steps at a constant or cyclic learning rate. The statistics are
    those of the run's training examples without augmentation.

    Args:
        workdir: the run's folder.
        last: the newest `last` checkpoints; give this or `steps`.
        steps: which checkpoints.
        run: the run, where it was made in Python.
        batch_size: images in a batch of the renewal.
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        ConfigError: neither `last` nor `steps` was given, or both; or the run was made in Python,
            and `run` was not given.
        RunFolderError: the folder holds no run, or no checkpoint yet.
        CheckpointError: a checkpoint does not exist or is damaged.

    Source: Izmailov et al., 2018 ("Averaging weights leads to wider optima and better
    generalization"), algorithm 1.
    """
    if (last is None) == (not steps):
        raise ConfigError("average_checkpoints: give either last, such as last=5, or steps")
    networks = load_checkpoints(workdir, steps=steps, last=last, run=run, data_dir=data_dir)
    if run is None:
        run = make_run(read_identity(Path(workdir)).values, data_dir=data_dir)
    mean = average_weights(networks)
    return renew_statistics(mean, run.main.examples, batch_size)


def average_weights(networks: Sequence[Network]) -> Network:
    """Returns a network with the mean of several networks' variables.

    Its batch statistics belong to none of its activations: renew them (`renew_statistics`).

    Args:
        networks: of one architecture, such as checkpoints of one run.

    Raises:
        ConfigError: there are none, or their variables differ in name or shape.
    """
    if not networks:
        raise ConfigError("networks: none were given; give two or more")
    first = networks[0]
    shapes = [jax.tree.map(np.shape, dict(network.variables)) for network in networks]
    for network, shape in zip(networks, shapes, strict=True):
        if shape != shapes[0]:
            raise ConfigError(
                f"networks: {first.origin} and {network.origin} do not have the same variables; "
                "the weights of different architectures have no mean"
            )
    trees = [dict(network.variables) for network in networks]
    return dataclasses.replace(
        first,
        variables=jax.tree.map(_mean, *trees),
        step=max(network.step for network in networks),
        origin=f"the mean of {len(networks)} networks, the first {first.origin}",
    )


def _mean(*leaves: Any) -> jax.Array:
    arrays = [np.asarray(leaf) for leaf in leaves]
    if not np.issubdtype(arrays[0].dtype, np.floating):
        return jnp.asarray(arrays[-1])  # a counter has no mean
    return jnp.asarray(np.mean(arrays, axis=0, dtype=np.float64), arrays[0].dtype)


def renew_statistics(network: Network, examples: data.Examples, batch_size: int = 128) -> Network:
    """Returns a network whose batch statistics are those of its activations.

    Each is the mean of the batches' own over all full batches of the examples in order, which are
    prepared as in evaluation, without dropout and drop-path. A network without batch statistics is
    returned as it is.

    Args:
        network: the network.
        examples: such as the training examples.
        batch_size: images in a batch.

    Raises:
        ConfigError: the batch size is less than 1.

    Source: Izmailov et al., 2018, section 3.2.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigError(f"batch_size: {batch_size!r} was given; give 1 or more")
    if STATISTICS not in network.variables:
        return network

    @compiler.jit
    def statistics(variables: Mapping[str, Any], images: Any) -> Any:
        return batch_statistics_of(network.model, variables, network.preprocess.images(images))

    total: Any = None
    count = 0
    for images in _batches(examples, batch_size):
        found = jax.device_get(statistics(network.variables, images))
        # In double precision: thousands of batches are added up.
        found = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), found)
        total = found if total is None else jax.tree.map(np.add, total, found)
        count += 1
    renewed = jax.tree.map(
        lambda old, sums: jnp.asarray(sums / count, old.dtype),
        dict(network.variables[STATISTICS]),
        total,
    )
    return dataclasses.replace(network, variables={**network.variables, STATISTICS: renewed})


def _batches(examples: data.Examples, size: int) -> Iterator[np.ndarray]:
    size = min(size, len(examples))
    for start in range(0, len(examples) - size + 1, size):
        yield examples.take(np.arange(start, start + size))["image"]


def batch_statistics_of(model: linen.Module, variables: Mapping[str, Any], inputs: Any) -> Any:
    """Returns the statistics of one batch alone, for any norm that keeps running averages.

    Nothing is dropped: dropout and drop-path, which evaluation has not, would add their variance.

    A running average r becomes m r + (1 - m) b in a batch with the statistic b. Two calls, from two
    values of r, give m and b.

    Args:
        model: any Linen module.
        variables: its variables.
        inputs: network inputs, [batch, height, width, channels].
    """
    kept = variables[STATISTICS]

    def after(running: Any) -> Any:
        with linen.intercept_methods(_nothing_dropped):
            _, updated = nn.apply_network(
                model,
                {**variables, STATISTICS: running},
                inputs,
                train=True,
                # For what else a module may draw, the same in both calls.
                key=jax.random.key(0),
            )
        return updated[STATISTICS]

    def two_calls(fixed: Any) -> Any:
        """Returns what follows 0, another start, and what follows that; fixed ones stay as kept."""

        def start(values: Any) -> Any:
            return jax.tree.map(jnp.where, fixed, kept, values)

        zero = after(start(jax.tree.map(jnp.zeros_like, kept)))
        # Of the statistic's own size, so that m is as exact where the statistic is large.
        other = start(jax.tree.map(lambda leaf: jnp.maximum(jnp.abs(leaf), 1), zero))
        return zero, other, after(other)

    first = two_calls(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, bool), kept))
    # Statistics that a module does not update in training; what it computes depends on them.
    fixed = jax.tree.map(lambda zero, start, then: (zero == 0) & (then == start), *first)
    some = jnp.stack([leaf.any() for leaf in jax.tree.leaves(fixed)]).any()
    zero, other, second = jax.lax.cond(some, lambda: two_calls(fixed), lambda: first)

    def own(old: Any, first: Any, start: Any, then: Any) -> Any:
        momentum = (then - first) / start
        return jnp.where(momentum < 1, first / jnp.where(momentum < 1, 1 - momentum, 1), old)

    found = jax.tree.map(own, kept, zero, other, second)
    return jax.tree.map(jnp.where, fixed, kept, found)


def _nothing_dropped(
    call: Callable[..., Any], args: tuple, kwargs: dict[str, Any], context: Any
) -> Any:
    """Leaves dropout and drop-path out of a network in training mode, as an interceptor."""
    module = context.module
    if isinstance(module, linen.Dropout | nn.DropPath) and context.method_name == "__call__":
        return args[0] if args else next(iter(kwargs.values()))
    if isinstance(module, FractalNet) and context.method_name == "draw_paths":
        return None
    return call(*args, **kwargs)
