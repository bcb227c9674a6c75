r"""MobileNet-v2 on ImageNet by its own recipe (Sandler et al. 2018, section 6.1).

    python -m experiments.train --config=experiments/configs/mobilenet_v2_imagenet2012.py \
        --workdir=runs/mobilenet_v2_imagenet2012

RMSProp with decay and momentum 0.9, weight decay 0.00004, batches of 96, a rate of 0.045 that falls
by a factor of 0.98 every epoch.

The paper does not state the augmentation, RMSProp's epsilon and the number of epochs: they are
ours. Deviations: the paper's 16 workers each take 96 images at once, here there is one; the mean
squared gradient starts at 0, TensorFlow's at 1.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.data.name = "imagenet2012"
    config.model.name = "mobilenet_v2"
    config.data.resize = 256
    config.data.crop = 224
    config.data.crop_areas = (0.08, 1.0)
    config.data.normalization = "model"
    config.data.augmentation = "flip, color_jitter(0.125, 0.5, 0.5, 0.2)"
    config.data.batch_size = 96
    config.optimizer.name = "rmsprop"
    config.optimizer.learning_rate = 0.045
    config.optimizer.beta2 = 0.9
    config.optimizer.epsilon = 1.0
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 4e-5
    config.schedule.name = "step"
    config.schedule.boundaries = tuple(float(epoch) for epoch in range(1, 300))
    config.schedule.factor = 0.98
    config.epochs = 300
    return config
