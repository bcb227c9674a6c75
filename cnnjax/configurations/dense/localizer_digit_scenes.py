r"""A localizer on scenes of one digit: which digit, and where.

    python -m experiments.train --config=experiments/configs/dense/localizer_digit_scenes.py \
        --workdir=runs/localizer_digit_scenes

Scenes of 64x64 pixels are composed from the embedded digits on textured ground; those of the test
split hold digits of its test split only. One trunk has a head for the class and one for the box.
The class head sees the highest value of each map, wherever it is: the mean over all places would be
mostly of the ground.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "localizer"
    config.model.overrides = {
        "encoder": "simple_cnn",
        "encoder_fields": {"widths": (16, 32, 64), "depth": (1, 2, 2)},
        "pooling": "max",
    }
    config.data.name = "digit_scenes/64_1"
    config.data.augmentation = "shift(8)"
    config.data.batch_size = 64
    config.task.name = "localization"
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 3e-3
    config.schedule.name = "onecycle"
    config.epochs = 20
    return config
