r"""Pre-activation ResNet-164 on CIFAR-10 by its own recipe (He et al. 2016): 5.46 % error there.

    python -m experiments.train --config=experiments/configs/preact_resnet164_cifar10.py \
        --workdir=runs/preact_resnet164_cifar10

The recipe of `resnet20_cifar10.py`, after a warm-up (appendix): the paper trains at a rate of 0.01
for the first 400 iterations; here the rate rises to 0.1 over the first epoch of 390.
"""

from ml_collections import ConfigDict

from cnnjax.configurations import resnet20_cifar10


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = resnet20_cifar10.get_config()
    config.model.name = "preact_resnet164_cifar"
    config.schedule.warmup_epochs = 1.0
    return config
