r"""A small plain network on CIFAR-10, the backbone of `center_net_bccd`.

    python -m experiments.train --config=experiments/configs/dense/simple_cnn_cifar10.py \
        --workdir=runs/simple_cnn_cifar10

Four stages of 3x3 filters with batch norm and max pools, then a global average, so that its filters
serve images of any size. A detector starts from them with
--config.model.weights=runs/simple_cnn_cifar10 --config.model.part=encoder.
"""

from ml_collections import ConfigDict

from cnnjax import recipes
from cnnjax.pixel_statistics import CIFAR10_MEAN

STAGES = {"widths": (16, 32, 64, 96), "depth": (1, 2, 2, 2)}
"""The fields of the network that its later users share."""


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "simple_cnn"
    config.model.overrides = {**STAGES, "head": "average"}
    config.data.name = "cifar10"
    config.data.augmentation = f"crop(4, fill={CIFAR10_MEAN}), flip"
    config.data.batch_size = 128
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 5e-3
    config.schedule.name = "onecycle"
    config.epochs = 15
    return config
