"""LeNet-5 on the 1,797 embedded digits: the run that `scripts/quickstart.sh` starts.

    python -m experiments.train --config=experiments/configs/lenet5_digits.py --workdir=runs/digits

The 8x8 digits are enlarged to 28x28 and padded to the 32x32 that LeNet-5 sees (LeCun et al. 1998,
section II.B), and shifted by up to two pixels in training.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "lenet5"
    config.data.name = "digits"
    config.data.resize = 28
    config.data.pad = 2
    config.data.augmentation = "shift(2)"
    config.data.batch_size = 128
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 5e-3
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    config.task.label_smoothing = 0.1
    config.epochs = 100
    return config
