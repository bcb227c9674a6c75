r"""ResNet-20 on CIFAR-10 by its own recipe (He et al. 2015, section 4.2): 8.75 % error there.

    python -m experiments.train --config=experiments/configs/resnet20_cifar10.py \
        --workdir=runs/resnet20_cifar10

SGD with momentum 0.9, weight decay 0.0001, batches of 128, a rate of 0.1, divided by 10 after
32,000 and 48,000 of 64,000 iterations; crops from a margin of 4 pixels, mirror images. 164 epochs
of 390 steps are 63,960 iterations; for the paper's 45,000/5,000 split, by which it found the
schedule: --config.data.validation_examples=5000.

Deviation: inputs are normalized per channel, by mean and standard deviation, where the paper takes
off the mean of each pixel. The margin has the mean color, which is what the paper's zeros are.
"""

from ml_collections import ConfigDict

from cnnjax import recipes
from cnnjax.pixel_statistics import CIFAR10_MEAN


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "resnet20_cifar"
    config.data.name = "cifar10"
    config.data.augmentation = f"crop(4, fill={CIFAR10_MEAN}), flip"
    config.data.batch_size = 128
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 1e-4
    config.schedule.name = "step"
    config.schedule.boundaries = (32_000 / 390, 48_000 / 390)
    config.schedule.factor = 0.1
    config.epochs = 164
    return config
