"""Statistics of the inputs that networks expect, as arguments of `ModelInfo`."""

from typing import Any

from cnnjax.pixel_statistics import CIFAR10_MEAN, CIFAR10_STD, IMAGENET_MEAN, IMAGENET_STD

IMAGENET: dict[str, Any] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, "scale": 1.0}

# Pixels from -1 to 1. torchvision's weights of GoogLeNet and Inception-v3 come from networks that
# were trained so: its `transform_input` undoes ImageNet's statistics. timm's ResNetV2 expects the
# same.
SYMMETRIC: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "scale": 1.0}

# Pixels from 0 to 255 minus their mean, as was usual before batch normalization. The constants of
# local response normalization are meant for this scale.
IMAGENET_255_CENTERED: dict[str, Any] = {
    "mean": tuple(255 * mean for mean in IMAGENET_MEAN),
    "std": (1.0, 1.0, 1.0),
    "scale": 255.0,
}

CIFAR: dict[str, Any] = {"mean": CIFAR10_MEAN, "std": CIFAR10_STD, "scale": 1.0}
