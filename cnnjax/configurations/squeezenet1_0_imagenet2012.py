r"""SqueezeNet 1.0 on ImageNet by its own recipe (Iandola et al. 2016, section 3.3).

    python -m experiments.train --config=experiments/configs/squeezenet1_0_imagenet2012.py \
        --workdir=runs/squeezenet1_0_imagenet2012

SGD with momentum 0.9 and weight decay 0.0002, batches of 512, a rate of 0.04 that falls along a
straight line; crops of 227 pixels, as the authors' Caffe files have them, and mirror images;
dropout of 0.5 before the last convolution. The paper has 42.5 % top-1 and 19.7 % top-5 error.

The weight decay, the batches and the size of the crops are those of the authors' repository. The
paper does not state the number of epochs: it is ours.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.data.name = "imagenet2012"
    config.model.name = "squeezenet1_0"
    config.data.resize = 256
    config.data.crop = 227
    config.data.normalization = "model"
    config.data.augmentation = "flip"
    config.data.batch_size = 512
    config.optimizer.learning_rate = 0.04
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 2e-4
    config.schedule.name = "polynomial"
    config.epochs = 68
    return config
