"""Statistics of the inputs that networks expect, as arguments of `ModelInfo`."""

from typing import Any

# Per-channel mean and standard deviation of ImageNet's training images, pixels from 0 to 1.
IMAGENET: dict[str, Any] = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "scale": 1.0,
}

# Pixels from -1 to 1. torchvision's weights of GoogLeNet and Inception-v3 were ported from networks
# fed so: its `transform_input` undoes ImageNet's statistics; timm's ResNetV2 expects the same.
SYMMETRIC: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "scale": 1.0}

# Pixels from 0 to 255 with the mean taken off, as networks were fed before batch normalization;
# local response normalization's constants are meant for this scale.
IMAGENET_255_CENTRED: dict[str, Any] = {
    "mean": (123.675, 116.28, 103.53),
    "std": (1.0, 1.0, 1.0),
    "scale": 255.0,
}

# Per-channel statistics of CIFAR-10's training images, pixels from 0 to 1.
CIFAR: dict[str, Any] = {
    "mean": (0.4914, 0.4822, 0.4465),
    "std": (0.2470, 0.2435, 0.2616),
    "scale": 1.0,
}
