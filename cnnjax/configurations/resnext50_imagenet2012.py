r"""ResNeXt-50 (32x4d) on ImageNet by its own recipe (Xie et al. 2017, section 4).

    python -m experiments.train --config=experiments/configs/resnext50_imagenet2012.py \
        --workdir=runs/resnext50_imagenet2012

Crops of 8 to 100 % of the area, resized to 224 pixels, mirror images, jitter of colors and PCA
color; SGD with momentum 0.9, weight decay 0.0001, batches of 256, a rate of 0.1, divided by 10
three times on the schedule of fb.resnet.torch: after 30, 60 and 90 epochs, here of 100.
"""

from ml_collections import ConfigDict

from cnnjax.configurations import resnet50_imagenet2012


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = resnet50_imagenet2012.get_config()
    config.model.name = "resnext50_32x4d"
    config.model.overrides = {}
    config.data.crop_short_sides = ()
    config.data.crop_areas = (0.08, 1.0)
    config.data.augmentation = "flip, color_jitter(0.4, 0.4, 0.4), pca_color(0.1)"
    config.epochs = 100
    return config
