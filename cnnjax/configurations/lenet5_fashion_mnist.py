r"""LeNet-5 in today's form on Fashion-MNIST (Xiao et al. 2017).

    python -m experiments.train --config=experiments/configs/lenet5_fashion_mnist.py \
        --workdir=runs/lenet5_fashion_mnist

As `lenet5_mnist.py`, but moved without turning, and mirrored, which digits may not be.
"""

from ml_collections import ConfigDict

from cnnjax.configurations import lenet5_mnist


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = lenet5_mnist.get_config()
    config.data.name = "fashion_mnist"
    config.data.augmentation = "shift(2), flip"
    return config
