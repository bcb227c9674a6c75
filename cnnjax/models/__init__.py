"""Networks: one file per family, and the registry that makes them by name."""

# Importing a family's file registers its networks.
from cnnjax.models import (
    alexnet,
    densenet,
    fractalnet,
    googlenet,
    inception_v3,
    lenet,
    mobilenet_v2,
    preact_resnet,
    resnet,
    simple_cnn,
    squeezenet,
    vgg,
    wide_resnet,
    zfnet,
)
from cnnjax.models.classifier import reset_classifier
from cnnjax.models.create import create_model
from cnnjax.models.dense import Encoder, EncoderNet, Level, PixelNet, encoder, levels_of
from cnnjax.models.dense_evaluation import apply_densely, score_map
from cnnjax.models.features import FeatureInfo, apply_with_features, feature_info
from cnnjax.models.info import ModelInfo, Published
from cnnjax.models.registry import (
    list_models,
    list_variants,
    model_info,
    record_model,
    register_model,
)
from cnnjax.models.weights import (
    GivenArrays,
    Started,
    WeightsError,
    download_pretrained,
    export_torchvision,
    given_by_variables,
    load_pretrained,
    read_given,
    save_pretrained,
    start_from,
    start_part_from,
)

__all__ = [
    "Encoder",
    "EncoderNet",
    "FeatureInfo",
    "GivenArrays",
    "Level",
    "ModelInfo",
    "PixelNet",
    "Published",
    "Started",
    "WeightsError",
    "alexnet",
    "apply_densely",
    "apply_with_features",
    "create_model",
    "densenet",
    "download_pretrained",
    "encoder",
    "export_torchvision",
    "feature_info",
    "fractalnet",
    "given_by_variables",
    "googlenet",
    "inception_v3",
    "lenet",
    "levels_of",
    "list_models",
    "list_variants",
    "load_pretrained",
    "mobilenet_v2",
    "model_info",
    "preact_resnet",
    "read_given",
    "record_model",
    "register_model",
    "reset_classifier",
    "resnet",
    "save_pretrained",
    "score_map",
    "simple_cnn",
    "squeezenet",
    "start_from",
    "start_part_from",
    "vgg",
    "wide_resnet",
    "zfnet",
]
