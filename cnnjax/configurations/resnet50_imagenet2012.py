r"""ResNet-50 on ImageNet by its own recipe (He et al. 2015, section 3.4).

    python -m experiments.train --config=experiments/configs/resnet50_imagenet2012.py \
        --workdir=runs/resnet50_imagenet2012

Crops of 224 pixels from shorter sides between 256 and 480, mirror images, PCA color; SGD with
momentum 0.9, weight decay 0.0001 and batches of 256, a rate of 0.1, for 120 epochs (the paper's
600,000 iterations); the stride is in the first 1x1 convolution.

Deviation: the paper divides the rate by 10 when the error stops improving; here that is after 30,
60 and 90 epochs, as in later implementations.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.data.name = "imagenet2012"
    config.model.name = "resnet50"
    config.model.overrides = {"variant": "paper"}
    config.data.resize = 256
    config.data.crop = 224
    config.data.crop_short_sides = (256, 480)
    config.data.augmentation = "flip, pca_color(0.1)"
    config.data.batch_size = 256
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 1e-4
    config.schedule.name = "step"
    config.schedule.boundaries = (30.0, 60.0, 90.0)
    config.schedule.factor = 0.1
    config.epochs = 120
    return config
