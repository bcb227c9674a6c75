r"""ResNet-110 on CIFAR-10 by its own recipe (He et al. 2015, section 4.2): 6.43 % error there.

    python -m experiments.train --config=experiments/configs/resnet110_cifar10.py \
        --workdir=runs/resnet110_cifar10

As `resnet20_cifar10.py`, after a warm-up: the paper trains at a rate of 0.01 until the training
error is under 80 %, about 400 iterations; here the rate rises to 0.1 over the first epoch of 390.
"""

from ml_collections import ConfigDict

from cnnjax.configurations import resnet20_cifar10


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = resnet20_cifar10.get_config()
    config.model.name = "resnet110_cifar"
    config.schedule.warmup_epochs = 1.0
    return config
