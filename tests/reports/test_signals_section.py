"""The section on signals, for tasks with a loss of every kind and without one."""

from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.models.net import Net
from cnnjax.reports.signals_section import health_section
from cnnjax.tasks import Classification, Task


class Tiny(Net):
    """A convolution, a residual block, an auxiliary head and a dense layer."""

    @linen.compact
    def __call__(self, x, train=False):
        x = ops.relu(linen.Conv(4, (3, 3), name="maps")(x))
        x = x + linen.Conv(4, (3, 3), name="branch")(x)
        if self.wants_auxiliary("aux1"):
            self.feature("aux1", linen.Dense(3, name="aux1")(x.mean(axis=(1, 2))))
        return self.logits(x.mean(axis=(1, 2)))


@dataclass(frozen=True)
class Brightness(Task):
    """A regression, whose examples have no labels."""

    def example_losses(self, outputs, batch, moment):
        return jnp.square(outputs[:, 0] - batch["value"])


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(size=(12, 6, 6, 1)).astype(np.float32)
    model = Tiny(3)
    return model, model.init(jax.random.key(0), inputs[:1]), inputs


LABELS = {"label": np.arange(12) % 3}


def kinds(section):
    return [part["part"].title for group in section["groups"] for part in group["parts"]]


def test_signals_are_the_statistics_of_the_outputs(network):
    model, variables, inputs = network
    section = health_section(model, variables, inputs, Classification(("a", "b", "c")), LABELS)
    assert [row["name"] for row in section["rows"]] == ["maps", "branch", "classifier"]
    maps: Any = linen.Conv(4, (3, 3)).apply({"params": variables["params"]["maps"]}, inputs)
    first = section["rows"][0]
    assert float(first["mean"]) == pytest.approx(float(maps.mean()), rel=0.01)
    assert float(first["std"]) == pytest.approx(float(maps.std()), rel=0.01)
    assert first["zeros"] == f"{100 * float((maps <= 0).mean()):.0f} %"
    dead = int(((np.asarray(maps) <= 0).all(axis=(0, 1, 2))).sum())
    assert first["dead"] == f"{dead} of 4" and section["rows"][1]["dead"] == ""
    assert (section["dead"], section["rectified"], section["images"]) == (dead, 4, 12)
    assert section["gradients"] and section["chart"].count("<svg") == 1
    assert kinds(section) == [
        "Gradient by the parameters",
        "Zeros after each ReLU",
        "What each residual block adds",
        "Effective rank",
    ]


def test_auxiliary_heads_have_gradients_of_their_own(network):
    model, variables, inputs = network
    task = Classification(("a", "b", "c"), auxiliary_weight=0.3)
    section = health_section(model, variables, inputs, task, LABELS)
    chart = section["groups"][0]["parts"][0]["part"]
    assert [series.name for series in chart.series] == ["whole loss", "output alone", "aux1 alone"]
    whole, output, head = (np.array(series.y) for series in chart.series)
    # The head's own layer, which the output's gradient does not reach, is not among them.
    assert len(whole) == len(("maps", "branch", "classifier"))
    assert (output > 0).all() and head[2] == 0 and output[2] == pytest.approx(whole[2])
    # The triangle inequality, on both sides.
    assert (whole <= output + head + 1e-6).all() and (whole >= abs(output - head) - 1e-6).all()


def test_a_task_without_labels_has_the_gradient_of_its_own_loss(network):
    model, variables, inputs = network
    value = np.linspace(-1, 1, 12, dtype=np.float32)
    section = health_section(model, variables, inputs, Brightness(), {"value": value})
    last = section["rows"][-1]
    error = 2 * (np.asarray(model.apply(variables, inputs))[:, 0] - value)
    # Only the first of three outputs has a gradient.
    expected = np.sqrt((error**2).sum() / (3 * 12))
    assert last["name"] == "classifier"
    assert float(last["gradient"]) == pytest.approx(expected, rel=0.06)


def test_without_a_loss_there_are_spreads_and_no_gradients(network):
    model, variables, inputs = network
    with_loss = health_section(model, variables, inputs, Classification(("a", "b", "c")), LABELS)
    for task, parts in ((Task(), {}), (Brightness(), {})):
        section = health_section(model, variables, inputs, task, parts)
        assert not section["gradients"]
        assert "example_losses" in section["reason"] or "value" in section["reason"]
        assert {row["gradient"] for row in section["rows"]} == {"nan"}
        assert "Gradient by the parameters" not in kinds(section)
        for name in ("mean", "std", "zeros", "dead"):
            assert [r[name] for r in section["rows"]] == [r[name] for r in with_loss["rows"]]
