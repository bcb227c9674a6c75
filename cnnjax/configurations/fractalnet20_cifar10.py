r"""FractalNet of 20 layers on CIFAR-10 by its own recipe (Larsson et al. 2017, section 4).

    python -m experiments.train --config=experiments/configs/fractalnet20_cifar10.py \
        --workdir=runs/fractalnet20_cifar10

SGD with momentum 0.9, batches of 100, a rate of 0.02 for 400 epochs, divided by 10 whenever the
epochs that are left have halved; drop-path (local and global) and dropout as in the network's
defaults; Xavier's initialization; crops from a margin of 4 pixels and mirror images. With these the
paper has 4.60 % error. No weight decay.
"""

from ml_collections import ConfigDict

from cnnjax import recipes
from cnnjax.pixel_statistics import CIFAR10_MEAN


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "fractalnet20"
    config.data.name = "cifar10"
    config.data.augmentation = f"crop(4, fill={CIFAR10_MEAN}), flip"
    config.data.batch_size = 100
    config.optimizer.learning_rate = 0.02
    config.schedule.name = "step"
    config.schedule.boundaries = (200.0, 300.0, 350.0, 375.0)
    config.schedule.factor = 0.1
    config.epochs = 400
    return config
