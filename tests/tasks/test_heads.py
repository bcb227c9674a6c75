import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from cnnjax.models.net import Net
from cnnjax.tasks import Classification
from tests.tasks.scores import LABELS, LOGITS, batch_of, moment, run


class TwoHeads(Net):
    """Logits, twice them and minus them."""

    @linen.compact
    def __call__(self, x, train=False):
        x = x.reshape(len(x), -1)
        if self.wants_auxiliary("aux1"):
            self.feature("aux1", linen.Dense(10, kernel_init=scaled(2.0), name="aux1")(x))
        return linen.Dense(10, kernel_init=scaled(1.0), name="classifier")(x)


def scaled(factor):
    return lambda key, shape, dtype: factor * jnp.eye(*shape, dtype=dtype)


def test_auxiliary_heads_add_their_weighted_losses_in_training_alone():
    batch = batch_of(LOGITS[:, None, None], LABELS)
    model = TwoHeads(num_classes=10)
    variables = model.init(jax.random.key(0), batch["image"])
    task = Classification(tuple("0123456789"), auxiliary_weight=0.3)

    def nll(logits):
        return -log_softmax(logits, axis=1)[np.arange(20), LABELS].mean()

    trained, (sums, _) = task.loss(model, variables, batch, moment(task, batch, True))
    evaluated, _ = task.loss(model, variables, batch, moment(task, batch, False))
    assert float(trained) == pytest.approx(nll(LOGITS) + 0.3 * nll(2 * LOGITS), rel=1e-6)
    assert float(evaluated) == pytest.approx(nll(LOGITS), rel=1e-6)
    assert float(sums["top1"]) == (LOGITS.argmax(axis=1) == LABELS).sum()


def test_a_weight_of_heads_that_do_not_exist_is_refused():
    task = Classification(tuple("0123456789"), auxiliary_weight=0.3)
    with pytest.raises(ValueError, match="Scores has no auxiliary heads; set it to 0"):
        run(task, batch_of(LOGITS[:, None, None], LABELS), True)


def test_the_terms_of_the_loss_are_those_of_the_output_and_of_each_head():
    weight = np.arange(20) % 3 / 2
    batch = batch_of(LOGITS[:, None, None], LABELS, weight)
    model = TwoHeads(num_classes=10)
    variables = model.init(jax.random.key(0), batch["image"])

    def nll(logits):
        losses = -log_softmax(logits, axis=1)[np.arange(20), LABELS]
        return (weight * losses).sum() / weight.sum()

    expected = {"output": nll(LOGITS), "aux1": 0.3 * nll(2 * LOGITS)}
    for auxiliary_weight, keys in ((0.3, ("output", "aux1")), (0.0, ("loss",))):
        task = Classification(tuple("0123456789"), auxiliary_weight=auxiliary_weight)
        terms = task.loss_terms(model, variables, batch, moment(task, batch, False))
        values = [expected[key if key in expected else "output"] for key in keys]
        assert tuple(terms) == keys
        np.testing.assert_allclose([float(v) for v in terms.values()], values, rtol=1e-6)
