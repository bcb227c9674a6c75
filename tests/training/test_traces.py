"""A network is traced as often as its checks and its programs need, and not more."""

from typing import Any

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest

from cnnjax import data, recipes, tasks, training
from cnnjax.training.check import check_run, check_shapes, state_shapes

IMAGES = np.zeros((48, 8, 8, 1), np.uint8)
EXAMPLES = data.from_arrays(image=IMAGES, label=np.zeros(48, np.int64))


class Flat(linen.Module):
    """One dense layer."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(x.reshape(len(x), -1))


RUN = training.Run(
    model=Flat(),
    task=tasks.Classification(("a", "b", "c")),
    train=EXAMPLES,
    optimizer=optax.adam(0.1),
    batch_size=16,
)


class AfterTheFirstStep(training.Callback):
    """Keeps the number of traces at the first log."""

    def __init__(self):
        self.traces = []
        self.count = None

    def on_log(self, step, metrics):
        if self.count is None:
            self.count = len(self.traces)

    def intercept(self, call, arguments, keywords, context):
        if context.method_name == "__call__" and context.module.scope.path == ():
            self.traces.append(keywords)
        return call(*arguments, **keywords)


def fit_counted(make, workdir=None):
    """Returns how often the network is called until the first step is done."""
    counter = AfterTheFirstStep()
    with linen.intercept_methods(counter.intercept):
        training.fit(
            make(),
            workdir,
            cadence=training.Cadence(log_every=1),
            callbacks=[counter],
            progress=False,
        )
    return counter.count


# Its initialization by shapes and by values, evaluation and loss by shapes, and the step.
@pytest.mark.parametrize("kept", [False, True])
def test_a_run_made_in_python_is_traced_five_times(tmp_path, kept):
    assert fit_counted(lambda: RUN, tmp_path / "run" if kept else None) == 5


def test_a_configurations_run_is_traced_five_times(tiny_config, data_dir):
    assert fit_counted(lambda: recipes.make_run(tiny_config, data_dir=data_dir)) == 5


@pytest.fixture(scope="module")
def checked():
    with jax.numpy_dtype_promotion("standard"):
        return RUN.replace(shapes=check_run(RUN))


def test_the_shapes_of_a_check_are_those_of_the_first_state(checked):
    check_shapes(checked, RUN.init_state())
    assert state_shapes(checked) is checked.shapes
    given = RUN.replace(variables={"params": RUN.init_state().params, "more": {"a": np.ones(2)}})
    check_shapes(given.replace(shapes=check_run(given)), given.init_state())


def test_only_more_epochs_leave_a_run_checked(checked):
    assert checked.replace(total_epochs=3).shapes is checked.shapes
    for changes in ({"seed": 1}, {"total_epochs": 3, "batch_size": 8}):
        assert checked.replace(**changes).shapes is None


def test_an_order_is_checked_although_the_shapes_are_known(checked):
    train = data.Stream(EXAMPLES, 24, order=data.Episodes(3, 4, 4))
    with pytest.raises(training.ConfigError, match="classes"):
        check_run(RUN.replace(train=train, shapes=checked.shapes))


@pytest.mark.parametrize("kept", [False, True])
def test_shapes_of_another_run_are_refused(checked, tmp_path, kept):
    workdir = tmp_path / "run" if kept else None
    other = RUN.replace(optimizer=optax.sgd(0.1, momentum=0.9))
    wrong = RUN.replace(shapes=check_run(other))
    message = "shapes: opt_state/.* in its state; leave shapes out"
    with pytest.raises(training.ConfigError, match=message):
        training.fit(wrong, workdir, progress=False)
    if kept:
        training.fit(RUN, workdir, progress=False)
        with pytest.raises(training.CheckpointError, match="does not hold this network"):
            training.fit(wrong.replace(total_epochs=2), workdir, progress=False)


def test_examples_of_another_form_than_the_checked_one_are_checked(
    tiny_config, data_dir, monkeypatch
):
    run = recipes.make_run(tiny_config, data_dir=data_dir)
    assert run.shapes is not None

    def with_counts(*arguments, **options):
        found = load(*arguments, **options)
        arrays: dict[str, Any] = {name: found.column(name) for name in found.spec}
        return data.from_arrays(**arrays, count=np.zeros(len(found), np.int32))

    load = data.load_examples
    monkeypatch.setattr(data, "load_examples", with_counts)
    assert recipes.make_run(tiny_config, data_dir=data_dir).shapes is None
