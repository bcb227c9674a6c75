"""Parts of a run that do not fit are refused before anything is trained or written."""

import dataclasses
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, models, tasks, training
from cnnjax.training.check import check_run

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (32, 8, 8, 3), np.uint8), RNG.integers(0, 3, 32)
EXAMPLES = data.from_arrays(image=IMAGES, label=LABELS)
NET = models.create_model("resnet8_cifar", num_classes=3, blocks=(1,), widths=(4,))
TASK = tasks.Classification(("a", "b", "c"))


def run(**changes):
    fields = dict(model=NET, task=TASK, train=EXAMPLES, optimizer=optax.sgd(0.01), batch_size=8)
    return training.Run(**{**fields, **changes})


@dataclasses.dataclass(frozen=True)
class Shaped(tasks.Classification):
    """Losses in a form of one's own."""

    form: Any = None

    def example_losses(self, outputs, batch, moment):
        return self.form(super().example_losses(outputs, batch, moment))


def with_losses(form):
    return Shaped(("a", "b", "c"), form=form)


class Broken(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(x.reshape(len(x), -1) + jnp.ones(5))


class WithoutParameters(linen.Module):
    @linen.compact
    def __call__(self, x):
        return x.mean((1, 2))


@dataclasses.dataclass(frozen=True)
class Column(tasks.Classification):
    """A metric of the wrong shape."""

    def example_metrics(self, outputs, batch):
        return {"confidence": jax.nn.softmax(outputs.logits).max(-1, keepdims=True)}


OF_NET = jax.eval_shape(NET.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
WIDER = jax.eval_shape(NET.clone(widths=(8,)).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


def stream(**changes):
    return data.Stream(EXAMPLES, 8, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"task": with_losses(lambda losses: losses[:, None])},
            r"loss: the shape \[8, 1\] was given for 8 examples; give one number for each",
        ),
        ({"task": with_losses(jnp.mean)}, r"loss: the shape \[\] was given for 8 examples"),
        ({"task": with_losses(lambda losses: None)}, "loss: NoneType was given"),
        ({"task": Column(("a", "b", "c"))}, r"confidence: the shape \[8, 1\] was given"),
        (
            {"variables": OF_NET["params"]},
            "variables: .* is no collection of ResNet; it has .*params.*give {'params'",
        ),
        ({"variables": WIDER}, r"variables: .* is of the shape \[8\], but of the shape \[4\]"),
        ({"variables": {"params": {}}}, "variables: params/.* is missing, but of the shape"),
        ({"test": data.from_arrays(image=IMAGES)}, "test: the evaluation needs a part 'label'"),
        (
            {"test": data.from_arrays(image=IMAGES[..., :1], label=LABELS)},
            "test: these examples cannot be evaluated: ",
        ),
        ({"optimizer": None}, "optimizer: NoneType was given; give an optax transformation"),
        ({"optimizer": optax.adam}, "optimizer: as a function of the parameters it fails"),
        ({"optimizer": lambda _: 3}, "optimizer: as its function's result, int was given"),
        (
            {"optimizer": optax.MultiSteps(optax.sgd(0.1), 2)},
            r"MultiSteps was given; .*gradient_transformation\(\)",
        ),
        ({"optimizer": optax.lbfgs()}, "optimizer: its update fails"),
        ({"schedule": 0.1}, "schedule: 0.1 was given; give a function of the step"),
        ({"frozen": "conv1/.*"}, r"frozen: the string 'conv1/\.\*' was given; give a sequence"),
        ({"ema_decay": "0.9"}, "ema_decay: '0.9' was given; give 0 or more, below 1"),
        ({"seed": 1.5}, "seed: 1.5 was given; give a whole number from 0 on"),
        ({"seed": 2**32}, "seed: 4294967296 was given"),
        ({"preprocess": None}, "preprocess: NoneType was given; give a data.Preprocess"),
        ({"batch_norm": "global"}, "batch_norm: str was given; give a training.BatchNormScope"),
        ({"train": {"a": stream(), "image": stream()}}, "a batch has 'image' already"),
        ({"train": {"a": stream(), "weight": stream()}}, "a batch has 'weight' already"),
        ({"train": {"a": stream(), 3: stream()}}, "the stream's name 3 is no string"),
        (
            {"train": stream(views={"weak": "", "strong": "flip"})},
            "Classification needs 'image' in a batch; its parts are in the views weak, strong",
        ),
        ({"model": Broken()}, "model: Broken cannot take images of 8x8x3 .* where the size is at"),
        ({"model": WithoutParameters()}, "model: WithoutParameters has no parameters"),
    ],
)
def test_a_run_that_cannot_work_is_refused(changes, message, tmp_path):
    with pytest.raises(training.ConfigError, match=message):
        training.fit(run(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


class Incomplete:
    """No callback."""

    def on_start(self, start):
        del start


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parallel": "jit"}, "parallel: 'jit' was given; give a training.Parallel"),
        ({"cadence": 3}, "cadence: 3 was given; give a training.Cadence"),
        ({"callbacks": training.Callback()}, "callbacks: .* give a sequence of callbacks"),
        ({"callbacks": [Incomplete()]}, "callbacks: Incomplete has no method on_log; derive it"),
    ],
)
def test_options_of_another_type_are_refused(options, message, tmp_path):
    with pytest.raises(training.ConfigError, match=message):
        training.fit(run(), tmp_path / "run", progress=False, **options)
    assert not (tmp_path / "run").exists()


def test_a_part_may_not_have_the_name_of_what_a_batch_adds():
    with pytest.raises(data.DataError, match="draw: a batch has its own weight and position and"):
        data.from_arrays(image=IMAGES, draw=np.ones(32))


def test_whole_numbers_may_be_numpy_s():
    made = run(epochs=np.int64(2), seed=np.uint32(3))
    assert (type(made.epochs), made.epochs, type(made.seed), made.seed) == (int, 2, int, 3)


def test_variables_to_start_from_may_be_the_parameters_alone():
    shapes = check_run(run(variables={"params": OF_NET["params"]}))
    assert jax.tree.structure(shapes.params) == jax.tree.structure(OF_NET["params"])
