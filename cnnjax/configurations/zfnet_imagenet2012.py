r"""ZFNet on ImageNet by its own recipe (Zeiler and Fergus 2013, section 3.1).

    python -m experiments.train --config=experiments/configs/zfnet_imagenet2012.py \
        --workdir=runs/zfnet_imagenet2012

Shorter sides of 256 pixels, crops of 224 with mirror images, batches of 128, SGD with a rate of
0.01 and momentum 0.9, 70 epochs; the rate falls when progress stops.

Deviations: crops from anywhere, where the paper takes corners and center; the rate falls with the
training loss, where the authors lowered it manually; filters are not renormalized to an RMS of 0.1;
the weight decay, which the paper does not state, is AlexNet's.
"""

from ml_collections import ConfigDict

from cnnjax.configurations import alexnet_imagenet2012


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = alexnet_imagenet2012.get_config()
    config.model.name = "zfnet"
    config.data.crop = 224
    config.data.augmentation = "flip"
    config.epochs = 70
    return config
