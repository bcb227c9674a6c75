r"""A small residual network with batch norm on the embedded digits: minutes on a laptop.

    python -m experiments.train --config=experiments/configs/resnet8_digits.py \
        --workdir=runs/resnet8_digits

The 8x8 digits are enlarged to 16x16. The network is the smallest of He et al. 2015, section 4.2
(one block in each stage), with their momentum, weight decay and crops, on a shorter, cosine
schedule.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "resnet8_cifar"
    config.data.name = "digits"
    config.data.resize = 16
    config.data.augmentation = "crop(2)"
    config.data.batch_size = 64
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 1e-4
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    config.epochs = 30
    return config
