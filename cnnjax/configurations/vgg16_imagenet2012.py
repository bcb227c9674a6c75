r"""VGG-16 (D) on ImageNet by its own recipe (Simonyan and Zisserman 2014, section 3.1).

    python -m experiments.train --config=experiments/configs/vgg16_imagenet2012.py \
        --workdir=runs/vgg16_imagenet2012

Crops of 224 pixels from shorter sides between 256 and 512, mirror images and shifts of color; SGD
with momentum 0.9, weight decay 0.0005, batches of 256, 74 epochs; a rate of 0.01, divided by 10
when accuracy stops improving. Kernels are initialized by Glorot's scheme; with it, the authors
found, the network need not start from the weights of a shallower one.

Deviations: the rate falls when the training loss stops falling; inputs are divided by the standard
deviation too.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.data.name = "imagenet2012"
    config.model.name = "vgg16"
    config.initialization = "xavier"
    config.data.resize = 256
    config.data.crop = 224
    config.data.crop_short_sides = (256, 512)
    config.data.augmentation = "flip, pca_color(0.1)"
    config.data.batch_size = 256
    config.optimizer.learning_rate = 0.01
    config.optimizer.weight_decay = 5e-4
    config.schedule.name = "plateau"
    config.schedule.factor = 0.1
    config.schedule.patience = 3
    config.epochs = 74
    return config
