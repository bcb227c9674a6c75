"""Random changes of training examples, and the one-line language that names them."""

from cnnjax.data.augment.color import Autocontrast, ColorJitter, PcaColor, color_basis
from cnnjax.data.augment.erase import Cutout, RandomErasing
from cnnjax.data.augment.geometry import Affine, Crop, Flip, ResizedCrop, Shift
from cnnjax.data.augment.mix import Mix, Mixup
from cnnjax.data.augment.motion import Motion
from cnnjax.data.augment.policy import (
    Policy,
    as_policy,
    augment_batch,
    example_keys,
    parse_policy,
)
from cnnjax.data.augment.rand_augment import RandAugment
from cnnjax.data.augment.registry import AUGMENTATIONS, register_augmentation
from cnnjax.data.augment.transform import Color, Erase, Geometry, Transform

__all__ = [
    "AUGMENTATIONS",
    "Affine",
    "Autocontrast",
    "Color",
    "ColorJitter",
    "Crop",
    "Cutout",
    "Erase",
    "Flip",
    "Geometry",
    "Mix",
    "Mixup",
    "Motion",
    "PcaColor",
    "Policy",
    "RandAugment",
    "RandomErasing",
    "ResizedCrop",
    "Shift",
    "Transform",
    "as_policy",
    "augment_batch",
    "color_basis",
    "example_keys",
    "parse_policy",
    "register_augmentation",
]
