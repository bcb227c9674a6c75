"""Several streams and a task's state: a consistency task trained on one device and on eight."""

from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, nn, tasks, training
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.loop.trainer import Trainer
from tests.helpers.trees import largest_difference
from tests.training.own_parts import Interrupted, StopAt

ONE = training.Parallel()
LAYOUTS = {"jit": training.Parallel("jit"), "pmap": training.Parallel("pmap")}
LABELLED, UNLABELLED = 48, 40
STEPS = 9


class Small(linen.Module):
    """Convolution, batch norm over whatever shares it, dense; computed in one dtype."""

    dtype: Any = jnp.float32

    @linen.compact
    def __call__(self, x, train=False):
        options: dict[str, Any] = {"dtype": self.dtype, "param_dtype": self.dtype}
        x = linen.Conv(4, (3, 3), strides=2, **options)(x)
        x = linen.relu(nn.BatchNorm(not train, dtype=self.dtype)(x))
        return linen.Dense(3, **options)(x.mean(axis=(1, 2)))


@dataclass(frozen=True)
class Consistency(tasks.Task):
    """Labels where there are some; elsewhere the prediction of a moving average for the weak view.

    The state is how far the two agreed, and weighs the unlabelled part of the loss.
    """

    def init_state(self):
        return {"agreement": jnp.zeros(()), "steps": jnp.int32(0)}

    def next_state(self, state, sums):
        found = (sums["agreed"] / sums["unlabelled"]).astype(state["agreement"].dtype)
        moved = state["agreement"] + 0.3 * (found - state["agreement"])
        return {"agreement": moved, "steps": state["steps"] + 1}

    def totals(self, batch):
        sums = {"weight": batch["weight"].sum()}
        if "unlabelled" in batch:
            sums["unlabelled"] = batch["unlabelled"]["weight"].sum()
        return sums

    def example_losses(self, outputs, batch, moment):
        return optax.softmax_cross_entropy_with_integer_labels(outputs, batch["label"])

    def loss(self, model, variables, batch, moment):
        other = batch["unlabelled"]
        images = jnp.concatenate([batch["image"], other["strong"]["image"]])
        outputs, updated = nn.apply_network(model, variables, images, train=True, key=moment.key)
        labelled, strong = jnp.split(outputs, [len(batch["image"])])
        assert moment.averages is not None
        target = nn.apply_network(model, moment.averages, other["weak"]["image"], train=False)
        losses = self.example_losses(labelled, batch, moment)
        distances = optax.softmax_cross_entropy(strong, jax.nn.softmax(target))
        sums = tasks.weighted_sums({"loss": losses}, batch)
        agreed = (strong.argmax(axis=1) == target.argmax(axis=1)).astype(other["weight"].dtype)
        apart = tasks.weighted_sums({"distance": distances, "agreed": agreed}, other)
        sums |= {"unlabelled": apart["weight"], "distance": apart["distance"]}
        weight = 0.5 + moment.state["agreement"].astype(losses.dtype)
        share = sums["loss"] / moment.totals["weight"].astype(losses.dtype)
        share += weight * sums["distance"] / moment.totals["unlabelled"].astype(losses.dtype)
        return share, ({**sums, "agreed": apart["agreed"]}, updated)

    def evaluate(self, model, variables, batch, moment):
        sums, rows = super().evaluate(model, variables, batch, moment)
        # What the state came to, as a metric.
        for name, value in moment.state.items():
            sums[name] = value * batch["weight"].astype(value.dtype).sum().astype(value.dtype)
        return sums, rows

    def metrics(self, sums, rows=None):
        weight, other = float(sums["weight"]), float(sums.get("unlabelled", 1))
        return {
            name: float(value) / (other if name in _OF_UNLABELLED else weight)
            for name, value in sums.items()
            if name not in ("weight", "unlabelled")
        }


_OF_UNLABELLED = ("distance", "agreed")


def speckle(key, example):
    image = example["image"]
    return {**example, "image": image + 0.1 * jax.random.normal(key, image.shape, image.dtype)}


def make(dtype: Any = np.float32, accumulate=1):
    """A run of three epochs of three steps; the unlabelled stream goes around its examples."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, LABELLED)
    patterns = rng.uniform(size=(3, 8, 8, 1))
    images = 0.5 * patterns[labels] + 0.5 * rng.uniform(size=(LABELLED, 8, 8, 1))
    others = 0.5 * patterns[rng.integers(0, 3, UNLABELLED)]
    others = others + 0.5 * rng.uniform(size=(UNLABELLED, 8, 8, 1))
    labelled = data.from_arrays(image=images.astype(np.float32), label=labels)
    unlabelled = data.from_arrays(image=others.astype(np.float32))
    run = training.Run(
        model=Small(dtype),
        task=Consistency(),
        train={
            "train": data.Stream(labelled, 16, augmentation="shift(1)"),
            "unlabelled": data.Stream(
                unlabelled, 32, views={"weak": "flip", "strong": ["flip, shift(2)", speckle]}
            ),
        },
        test=data.choose(labelled, range(21)),
        optimizer=optax.sgd(0.1, momentum=0.9),
        epochs=3,
        ema_decay=0.9,
        accumulate=accumulate,
    )
    if dtype == np.float32:
        return run
    # Batch statistics start in float32.
    first = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), run.init_state().variables)
    return run.replace(variables=first)


EVERY_STEP = training.Cadence(log_every=1, checkpoint_steps=2)


def fit(run, workdir=None, **options):
    return training.fit(run, workdir, cadence=EVERY_STEP, progress=False, **options)


@pytest.fixture(scope="module")
def doubles():
    """Results in float64, by layout."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        layouts = {"one": ONE, **LAYOUTS}
        return {name: fit(make(np.float64), parallel=layout) for name, layout in layouts.items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_eight_devices_compute_what_one_does(doubles, name):
    found, expected = doubles[name], doubles["one"]
    assert found.step == expected.step == STEPS
    assert largest_difference(found.variables, expected.variables) < 1e-9
    assert found.metrics == pytest.approx(expected.metrics, abs=1e-9)
    assert len(found.history) == len(expected.history) == STEPS + 3
    for ours, theirs in zip(found.history, expected.history, strict=True):
        assert ours["split"] == theirs["split"]
        timeless = {k: v for k, v in theirs.items() if k not in ("split", "images_per_second")}
        for key, value in timeless.items():
            assert ours[key] == pytest.approx(value, abs=1e-9), key


def test_the_state_moves_at_every_step_by_what_the_step_found(doubles):
    trained = [line for line in doubles["one"].history if line["split"] == "train"]
    agreement = 0.0
    for line in trained:
        agreement += 0.3 * (line["agreed"] - agreement)
    metrics = doubles["one"].metrics
    assert metrics["steps"] == STEPS
    assert 0 < metrics["agreement"] == pytest.approx(agreement, abs=1e-6)


@pytest.mark.parametrize("layout", ["one", pytest.param("pmap", marks=pytest.mark.slow)])
def test_a_run_that_broke_off_resumes_bit_identically(layout, tmp_path):
    parallel = {"one": ONE, **LAYOUTS}[layout]
    whole = fit(make(accumulate=2), tmp_path / "whole", parallel=parallel)
    with pytest.raises(Interrupted):
        fit(make(accumulate=2), tmp_path / "run", parallel=parallel, callbacks=[StopAt(5)])
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps()[-1] == 4
    resumed = fit(make(accumulate=2), tmp_path / "run", parallel=parallel)
    assert resumed.metrics == whole.metrics
    like = jax.eval_shape(make().init_state)
    ours, theirs = (
        Checkpoints(tmp_path / name / "checkpoints").restore(STEPS, like)
        for name in ("run", "whole")
    )
    assert largest_difference(ours, theirs) == 0
    assert int(ours.task_state["steps"]) == STEPS


@dataclass(frozen=True)
class Witness(tasks.Task):
    """Counts what it has been shown, of examples whose pixels all are their positions."""

    def loss(self, model, variables, batch, moment):
        outputs, updated = nn.apply_network(model, variables, batch["image"], train=True)
        other = batch["unlabelled"]

        def positions(image):
            return jnp.rint(image.mean(axis=(1, 2, 3)) * 255).astype(jnp.int32)

        wrong = (positions(batch["image"]) != batch["position"]).sum()
        for view in ("weak", "strong"):
            wrong += (positions(other[view]["image"]) != other["position"]).sum()
        wrong += (batch["label"] != batch["position"]).sum()
        sums = {
            "wrong": wrong,
            "seen": jnp.zeros(LABELLED).at[batch["position"]].add(1),
            "others": jnp.zeros(UNLABELLED).at[other["position"]].add(1),
            "apart": (other["weak"]["image"] != other["strong"]["image"]).sum(),
        }
        return outputs.sum() * 0, (sums, updated)


def dimmed(key, example):
    """Leaves an example's mean as it is, and no pixel."""
    image = example["image"]
    half = jax.random.uniform(key, (image.shape[0] // 2, *image.shape[1:]), maxval=0.001)
    return {**example, "image": image + jnp.concatenate([half, -half])}


@pytest.mark.parametrize("layout", ["one", *LAYOUTS])
def test_views_are_of_one_example_and_examples_come_in_their_order(layout):
    def numbered(count):
        return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones(
            (1, 8, 8, 1), np.uint8
        )

    run = make().replace(
        task=Witness(),
        train={
            "train": data.Stream(
                data.from_arrays(image=numbered(LABELLED), label=np.arange(LABELLED)), 16
            ),
            "unlabelled": data.Stream(
                data.from_arrays(image=numbered(UNLABELLED)),
                32,
                views={"weak": "flip", "strong": ["flip", dimmed]},
            ),
        },
        test=None,
    )
    state = run.init_state()
    placement = make_placement({"one": ONE, **LAYOUTS}[layout], state.params, 16)
    trainer = Trainer(run, state, placement)
    for step in range(4):
        batch = trainer.batch(step)
        sums = jax.device_get(trainer.advance().sums)
        assert sums["wrong"] == 0
        assert sums["apart"] > 32
        for name, counted, whole in (
            ("train", sums["seen"], batch["position"]),
            ("unlabelled", sums["others"], batch["unlabelled"]["position"]),
        ):
            expected = data.positions_at(run.orders[name], step)
            np.testing.assert_array_equal(counted, np.bincount(expected, minlength=len(counted)))
            np.testing.assert_array_equal(whole, expected)
