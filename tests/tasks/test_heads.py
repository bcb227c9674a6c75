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
