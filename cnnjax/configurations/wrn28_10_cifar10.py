r"""WRN-28-10 on CIFAR-10 by its own recipe (Zagoruyko and Komodakis 2016, section 3).

    python -m experiments.train --config=experiments/configs/wrn28_10_cifar10.py \
        --workdir=runs/wrn28_10_cifar10

SGD with Nesterov momentum 0.9, weight decay 0.0005, batches of 128, 200 epochs; a rate of 0.1,
multiplied by 0.2 after 60, 120 and 160; crops from a margin of 4 reflected pixels, mirror images;
dropout of 0.3 within the blocks, with which the paper has 3.89 % error (4.00 % without:
--config.model.overrides.dropout_rate=0.0).
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "wrn28_10"
    config.model.overrides = {"dropout_rate": 0.3}
    config.data.name = "cifar10"
    config.data.augmentation = "crop(4, 'reflect'), flip"
    config.data.batch_size = 128
    config.optimizer.learning_rate = 0.1
    config.optimizer.nesterov = True
    config.optimizer.weight_decay = 5e-4
    config.schedule.name = "step"
    config.schedule.boundaries = (60.0, 120.0, 160.0)
    config.schedule.factor = 0.2
    config.epochs = 200
    return config
