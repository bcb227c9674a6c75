r"""WRN-16-4 on CIFAR-10 by its own recipe (Zagoruyko and Komodakis 2016): 5.02 % error there.

    python -m experiments.train --config=experiments/configs/wrn16_4_cifar10.py \
        --workdir=runs/wrn16_4_cifar10

As `wrn28_10_cifar10.py`, without dropout.
"""

from ml_collections import ConfigDict

from cnnjax.configurations import wrn28_10_cifar10


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = wrn28_10_cifar10.get_config()
    config.model.name = "wrn16_4"
    config.model.overrides = {"dropout_rate": 0.0}
    return config
