"""What is suggested for a flag that does not exist."""

import pytest

from cnnjax.commands.suggestions import suggest

FLAGS = ("report", "workdir", "checkpoint_every", "checkpoint_steps", "log_every")
KEYS = ("model.name", "data.name", "data.batch_size", "optimizer.learning_rate", "epochs")


@pytest.mark.parametrize(
    ("given", "suggested"),
    [
        ("epochs", ["--config.epochs"]),
        ("epoch", ["--config.epochs"]),
        ("learning_rate", ["--config.optimizer.learning_rate"]),
        ("learning-rate", ["--config.optimizer.learning_rate"]),
        ("optimizer.learning_rate", ["--config.optimizer.learning_rate"]),
        ("name", ["--config.model.name", "--config.data.name"]),
        ("batch_sise", ["--config.data.batch_size"]),
        ("wrkdir", ["--workdir"]),
        ("checkpoint_evry", ["--checkpoint_every"]),
        ("check-point-every", ["--checkpoint_every"]),
        ("rate", []),
        ("zzz", []),
    ],
)
def test_keys_by_their_last_part_and_flags_by_spelling(given, suggested):
    assert suggest(given, FLAGS, KEYS) == suggested


def test_programs_without_a_configuration_suggest_flags_alone():
    assert suggest("epochs", FLAGS, ()) == []
    assert suggest("reprot", FLAGS, ()) == ["--report"]
