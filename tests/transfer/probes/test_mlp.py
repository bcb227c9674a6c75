"""A probe with hidden layers on features."""

import numpy as np
import optax
import pytest

from cnnjax import transfer

RNG = np.random.default_rng(0)
# No line separates the classes of an exclusive or; the third feature is the same everywhere.
FEATURES = (RNG.choice([-1, 1], (200, 3)) * [1000, 0.001, 0] + [5, 0, 7]).astype(np.float32)
LABELS = ((FEATURES[:, 0] > 0) != (FEATURES[:, 1] > 0)).astype(np.int64)


def test_hidden_layers_learn_what_no_line_separates():
    """Whatever the features' scales."""
    probe = transfer.fit_mlp_probe(
        FEATURES,
        LABELS,
        classes=2,
        widths=[16],
        optimizer=optax.adam(0.03),
        validation=(FEATURES[:50], LABELS[:50]),
        epochs=12,
        batch_size=50,
    )
    assert probe.accuracy(FEATURES, LABELS) == 1.0
    assert probe.result.metrics["accuracy"] == 1.0
    assert probe.scores(FEATURES[:7]).shape == (7, 2)
    line = transfer.fit_linear_probe(FEATURES, LABELS, classes=2, penalties=[1e-9])
    assert line.accuracy(FEATURES, LABELS) < 0.8
    with pytest.raises(ValueError, match=r"the probe takes \[examples, 3\]"):
        probe.scores(np.ones((2, 4), np.float32))


def test_features_and_labels_of_different_numbers_are_refused():
    with pytest.raises(ValueError, match=r"features: shape \(200, 3\) was given with labels"):
        transfer.fit_mlp_probe(FEATURES, LABELS[:5], classes=2)
