"""Examples to learn from: sets by name, arrays and sources of users, streams, augmentation."""

from cnnjax.data import augment
from cnnjax.data.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    coco_splits,
    from_annotations,
    read_coco,
    read_voc,
    voc_splits,
)
from cnnjax.data.annotations.splits import annotated_splits
from cnnjax.data.array_examples import ArrayExamples
from cnnjax.data.augment import (
    AUGMENTATIONS,
    Mixup,
    Policy,
    as_policy,
    augment_batch,
    example_keys,
    parse_policy,
    register_augmentation,
)
from cnnjax.data.blank import blank_parts
from cnnjax.data.catalogue import dataset, list_datasets
from cnnjax.data.dataset import Dataset
from cnnjax.data.derived import ChangedExamples, JoinedExamples, RelabeledExamples
from cnnjax.data.errors import DamagedImages, DataError, DataFolderError
from cnnjax.data.examples import Examples, PartSpec, Spec, choose
from cnnjax.data.kinds import Kind
from cnnjax.data.lazy_images import lazy_images
from cnnjax.data.load import load_examples
from cnnjax.data.orders import (
    BalancedOrder,
    EpisodeOrder,
    FunctionOrder,
    Order,
    ShuffledOrder,
    positions_at,
)
from cnnjax.data.own_datasets import DATASETS, Splits, register_dataset
from cnnjax.data.own_examples import from_arrays, from_generator, from_source
from cnnjax.data.prepare.prepare import Prepared, prepare
from cnnjax.data.preprocess import Preprocess
from cnnjax.data.read.arrays import load_arrays
from cnnjax.data.read.decode import MAX_PIXELS, DamagedImage
from cnnjax.data.read.encoded import EncodedImages
from cnnjax.data.read.framing import Framing
from cnnjax.data.read.order import (
    EvaluationOrder,
    epoch_order,
    evaluation_batches,
    steps_per_epoch,
)
from cnnjax.data.read.reader import Reader, Workers
from cnnjax.data.read_options import ReadOptions, Resident, is_resident, kept_on_device
from cnnjax.data.streams import Episodes, Stream

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "MAX_PIXELS",
    "AnnotatedImage",
    "AnnotatedObject",
    "ArrayExamples",
    "BalancedOrder",
    "ChangedExamples",
    "DamagedImage",
    "DamagedImages",
    "DataError",
    "DataFolderError",
    "Dataset",
    "EncodedImages",
    "EpisodeOrder",
    "Episodes",
    "EvaluationOrder",
    "Examples",
    "Framing",
    "FunctionOrder",
    "JoinedExamples",
    "Kind",
    "Mixup",
    "Order",
    "PartSpec",
    "Policy",
    "Prepared",
    "Preprocess",
    "ReadOptions",
    "Reader",
    "RelabeledExamples",
    "Resident",
    "ShuffledOrder",
    "Spec",
    "Splits",
    "Stream",
    "Workers",
    "annotated_splits",
    "as_policy",
    "augment",
    "augment_batch",
    "blank_parts",
    "choose",
    "coco_splits",
    "dataset",
    "epoch_order",
    "evaluation_batches",
    "example_keys",
    "from_annotations",
    "from_arrays",
    "from_generator",
    "from_source",
    "is_resident",
    "kept_on_device",
    "lazy_images",
    "list_datasets",
    "load_arrays",
    "load_examples",
    "parse_policy",
    "positions_at",
    "prepare",
    "read_coco",
    "read_voc",
    "register_augmentation",
    "register_dataset",
    "steps_per_epoch",
    "voc_splits",
]
