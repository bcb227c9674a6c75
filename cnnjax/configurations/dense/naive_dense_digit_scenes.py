"""A network without pooling on scenes of real digits, at the cost of the U-Net there.

    python -m experiments.train --config=experiments/configs/dense/naive_dense_digit_scenes.py \
        --workdir=runs/naive

Everything but the network is that of `unet_digit_scenes`, with as many multiply-adds per image.
"""

from ml_collections import ConfigDict

from cnnjax.configurations.dense import unet_digit_scenes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = unet_digit_scenes.get_config()
    config.model.name = "naive_dense"
    config.model.overrides = {"norm": "batch"}
    return config
