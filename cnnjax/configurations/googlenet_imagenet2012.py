r"""GoogLeNet on ImageNet, as far as its recipe is published (Szegedy et al. 2014, sections 5, 6).

    python -m experiments.train --config=experiments/configs/googlenet_imagenet2012.py \
        --workdir=runs/googlenet_imagenet2012

From the paper: crops of 8 to 100 % of the area with aspect ratios from 3/4 to 4/3, photometric
distortions, momentum 0.9, a rate that falls by 4 % every 8 epochs, an average of the weights for
evaluation, and auxiliary heads with weight 0.3.

The paper names neither rate, batch size, decay nor epochs: those here are ours (the decay is
Caffe's reproduction's). It was trained asynchronously; steps are synchronous here.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.data.name = "imagenet2012"
    config.model.name = "googlenet"
    config.data.resize = 256
    config.data.crop = 224
    config.data.crop_areas = (0.08, 1.0)
    config.data.normalization = "model"
    config.data.augmentation = "flip, color_jitter(0.4, 0.4, 0.4)"
    config.data.batch_size = 256
    config.task.auxiliary_weight = 0.3
    config.optimizer.learning_rate = 0.01
    config.optimizer.weight_decay = 2e-4
    config.schedule.name = "step"
    config.schedule.boundaries = tuple(float(epoch) for epoch in range(8, 100, 8))
    config.schedule.factor = 0.96
    config.ema_decay = 0.9999
    config.epochs = 100
    return config
