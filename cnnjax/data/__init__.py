"""Image sets by name: TFDS builders and readers, order, preprocessing and augmentation."""

from cnnjax.data import augment
from cnnjax.data.augment import (
    Mixup,
    Policy,
    as_policy,
    augment_batch,
    example_keys,
    parse_policy,
    register_augmentation,
)
from cnnjax.data.catalogue import dataset, list_datasets
from cnnjax.data.dataset import Dataset
from cnnjax.data.errors import DamagedImages, DataError
from cnnjax.data.inputs import (
    Examples,
    Inputs,
    Resident,
    describe_examples,
    is_resident,
    load_examples,
)
from cnnjax.data.prepare.prepare import Prepared, prepare
from cnnjax.data.preprocess import Preprocess
from cnnjax.data.read.arrays import ImageArrays, load_arrays
from cnnjax.data.read.encoded import EncodedImages
from cnnjax.data.read.framing import Framing
from cnnjax.data.read.order import epoch_order, evaluation_batches, steps_per_epoch
from cnnjax.data.read.reader import EvaluationOrder, Stream, TrainingOrder, Workers

__all__ = [
    "DamagedImages",
    "DataError",
    "Dataset",
    "EncodedImages",
    "EvaluationOrder",
    "Examples",
    "Framing",
    "ImageArrays",
    "Inputs",
    "Mixup",
    "Policy",
    "Prepared",
    "Preprocess",
    "Resident",
    "Stream",
    "TrainingOrder",
    "Workers",
    "as_policy",
    "augment",
    "augment_batch",
    "dataset",
    "describe_examples",
    "epoch_order",
    "evaluation_batches",
    "example_keys",
    "is_resident",
    "list_datasets",
    "load_arrays",
    "load_examples",
    "parse_policy",
    "prepare",
    "register_augmentation",
    "steps_per_epoch",
]
