"""Networks: one file per family, and the registry that makes them by name."""

# Importing a family's file registers its networks.
from cnnjax.models import (
    alexnet,
    fractalnet,
    googlenet,
    inception_v3,
    lenet,
    preact_resnet,
    resnet,
    vgg,
    wide_resnet,
    zfnet,
)
from cnnjax.models.features import apply_with_features
from cnnjax.models.registry import ModelInfo, create_model, list_models, model_info

__all__ = [
    "ModelInfo",
    "alexnet",
    "apply_with_features",
    "create_model",
    "fractalnet",
    "googlenet",
    "inception_v3",
    "lenet",
    "list_models",
    "model_info",
    "preact_resnet",
    "resnet",
    "vgg",
    "wide_resnet",
    "zfnet",
]
