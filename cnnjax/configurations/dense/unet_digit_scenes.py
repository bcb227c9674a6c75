"""U-Net of base width 16 on scenes of real digits: a class for each of 64x64 pixels.

    python -m experiments.train --config=experiments/configs/dense/unet_digit_scenes.py \
        --workdir=runs/unet

Ronneberger et al. 2015, at a quarter of the width, with batch norm and without dropout. The scenes
have eleven classes, the ground and ten digits, and are prepared at the first run, in seconds.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "unet"
    config.model.overrides = {"base": 16, "norm": "batch", "dropout_rate": 0.0}
    config.data.name = "digit_scenes"
    config.data.batch_size = 8
    config.task = recipes.task_section("segmentation", pixel_loss="cross_entropy + dice")
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 2e-3
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 0.25
    config.epochs = 6
    return config
