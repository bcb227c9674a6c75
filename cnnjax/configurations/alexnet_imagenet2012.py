r"""AlexNet on ImageNet by its own recipe (Krizhevsky et al. 2012, sections 4 and 5).

    python -m experiments.train --config=experiments/configs/alexnet_imagenet2012.py \
        --workdir=runs/alexnet_imagenet2012

Shorter sides of 256 pixels, random crops and mirror images, PCA color; SGD with momentum 0.9,
weight decay 0.0005 and batches of 128, for 90 epochs; a rate of 0.01, divided by 10 when the error
stops improving.

Deviations: crops of 227 pixels, which the paper's map sizes need; the rate falls when the training
loss, not the validation error, stops falling; decay leaves biases alone.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.data.name = "imagenet2012"
    config.model.name = "alexnet"
    config.data.resize = 256
    config.data.crop = 227
    config.data.normalization = "model"
    config.data.augmentation = "flip, pca_color(0.1)"
    config.data.batch_size = 128
    config.optimizer.learning_rate = 0.01
    config.optimizer.weight_decay = 5e-4
    config.schedule.name = "plateau"
    config.schedule.factor = 0.1
    config.schedule.patience = 3
    config.epochs = 90
    return config
