r"""Inception-v3 on ImageNet by its own recipe (Szegedy et al. 2015, sections 7 and 8).

    python -m experiments.train --config=experiments/configs/inception_v3_imagenet2012.py \
        --workdir=runs/inception_v3_imagenet2012

RMSProp with decay 0.9 and an epsilon of 1.0, a rate of 0.045 that falls by a factor of 0.94 every
two epochs, gradients clipped to a norm of 2.0, label smoothing 0.1, batches of 32, 100 epochs, and
an average of the parameters for evaluation.

The paper does not state the momentum, the weight decay and the auxiliary head's weight: they are
ours. Deviations: the paper's 50 replicas each take 32 images at once, here there is one; the mean
squared gradient starts at 0, TensorFlow's at 1.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.data.name = "imagenet2012"
    config.model.name = "inception_v3"
    config.data.resize = 342
    config.data.crop = 299
    config.data.crop_areas = (0.08, 1.0)
    config.data.normalization = "model"
    config.data.augmentation = "flip, color_jitter(0.125, 0.5, 0.5, 0.2)"
    config.data.batch_size = 32
    config.task.label_smoothing = 0.1
    config.task.auxiliary_weight = 0.4
    config.optimizer.name = "rmsprop"
    config.optimizer.learning_rate = 0.045
    config.optimizer.beta2 = 0.9
    config.optimizer.epsilon = 1.0
    config.optimizer.momentum = 0.9
    config.optimizer.gradient_clip = 2.0
    config.optimizer.weight_decay = 4e-5
    config.schedule.name = "step"
    config.schedule.boundaries = tuple(float(epoch) for epoch in range(2, 100, 2))
    config.schedule.factor = 0.94
    config.ema_decay = 0.9999
    config.epochs = 100
    return config
