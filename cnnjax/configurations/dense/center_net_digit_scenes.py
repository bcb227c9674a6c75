r"""A center network on scenes of up to four digits: each digit with its box.

    python -m experiments.train --config=experiments/configs/dense/center_net_digit_scenes.py \
        --workdir=runs/center_net_digit_scenes

Scenes of 64x64 pixels are composed from the embedded digits on textured ground; those of the test
split hold digits of its test split only.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "center_net"
    config.model.overrides = {
        "encoder": "simple_cnn",
        "encoder_fields": {"widths": (16, 32, 64), "depth": (1, 2, 2)},
        "width": 32,
    }
    config.data.name = "digit_scenes"
    config.data.augmentation = "shift(8)"
    config.data.batch_size = 64
    config.task.name = "detection"
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 3e-3
    config.schedule.name = "onecycle"
    config.epochs = 20
    return config
