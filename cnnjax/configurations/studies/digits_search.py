"""A search over settings of a small network on the digits.

    python -m experiments.study --study=digits_search --workdir=runs/digits_search --jobs=2

Learning rate, weight decay, widths and pooling of a `simple_cnn` of two stages are drawn at random.
A fifth of the training digits is held out, and chooses. Bad trials end after 1 or 3 of 9 epochs.
"""

from ml_collections import ConfigDict

from cnnjax import recipes, studies


def get_study() -> studies.Search:
    """Returns the search."""
    return studies.Search(
        question="Which settings suit a small network on the digits?",
        base=_base(),
        space={
            "optimizer.learning_rate": studies.LogUniform(1e-3, 1.0),
            "optimizer.weight_decay": studies.LogUniform(1e-6, 1e-2),
            "model.overrides.widths": studies.Choices([(8, 16), (16, 32), (32, 64)]),
            "model.overrides.pooling": studies.Choices(["max", "average", "stride"]),
        },
        trials=24,
        pruning=studies.Halving(first=1, factor=3),
        seeds=(0, 1, 2),
    )


def _base() -> ConfigDict:
    config = recipes.default_config()
    config.model.name = "simple_cnn"
    config.data.name = "digits"
    config.data.validation_examples = 287
    config.data.batch_size = 64
    config.optimizer.momentum = 0.9
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    config.epochs = 9
    return config
