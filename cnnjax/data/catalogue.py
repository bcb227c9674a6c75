"""The image sets that are read by name."""

import os
from typing import Any

from cnnjax.data import classes
from cnnjax.data.dataset import LABEL, MASK, Dataset
from cnnjax.data.errors import DataError
from cnnjax.data.folders import FOLDER_PREFIX, MASKS_PREFIX, folder_dataset
from cnnjax.data.prepare.scene_sets import SCENES, digit_scenes
from cnnjax.data.preprocess import IGNORED
from cnnjax.data.read.mask_folders import mask_folder_dataset
from cnnjax.data.read.tfds_store import find_prepared, not_prepared, read_info
from cnnjax.nearest import did_you_mean
from cnnjax.pixel_statistics import CIFAR10_MEAN, CIFAR10_STD, IMAGENET_MEAN, IMAGENET_STD

_DIGIT_NAMES = tuple("0123456789")

_CATALOGUE = {
    entry.name: entry
    for entry in (
        Dataset(
            name="digits",
            version="1.0.0",
            image_shape=(8, 8, 1),
            class_names=_DIGIT_NAMES,
            split_sizes={"train": 1437, "test": 360},
            mean=(0.3054,),
            std=(0.3760,),
            source="scikit-learn (UCI optical recognition of handwritten digits)",
        ),
        Dataset(
            name="mnist",
            version="3.0.1",
            image_shape=(28, 28, 1),
            class_names=_DIGIT_NAMES,
            split_sizes={"train": 60_000, "test": 10_000},
            mean=(0.1307,),
            std=(0.3081,),
            source="LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/",
        ),
        Dataset(
            name="fashion_mnist",
            version="3.0.1",
            image_shape=(28, 28, 1),
            class_names=classes.FASHION_MNIST,
            split_sizes={"train": 60_000, "test": 10_000},
            mean=(0.2860,),
            std=(0.3530,),
            source="Xiao, Rasul and Vollgraf 2017, https://github.com/zalandoresearch/fashion-mnist",
        ),
        Dataset(
            name="cifar10",
            version="3.0.2",
            image_shape=(32, 32, 3),
            class_names=classes.CIFAR10,
            split_sizes={"train": 50_000, "test": 10_000},
            mean=CIFAR10_MEAN,
            std=CIFAR10_STD,
            source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
        ),
        Dataset(
            name="cifar100",
            version="3.0.2",
            image_shape=(32, 32, 3),
            class_names=classes.CIFAR100,
            split_sizes={"train": 50_000, "test": 10_000},
            # Widely published figures, not computed here.
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
        ),
        Dataset(
            name="svhn_cropped",
            version="3.1.0",
            image_shape=(32, 32, 3),
            class_names=_DIGIT_NAMES,
            split_sizes={"train": 73_257, "test": 26_032},
            # Widely published figures, not computed here.
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
            source="Netzer et al. 2011, http://ufldl.stanford.edu/housenumbers/",
        ),
        Dataset(
            name="imagenette",
            version="1.0.0",
            config="full-size-v2",
            image_shape=None,
            class_names=classes.IMAGENETTE,
            split_sizes={"train": 9_469, "test": 3_925},
            test_split="validation",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            source="Howard 2019, https://github.com/fastai/imagenette",
        ),
        Dataset(
            name="imagenet2012",
            version="5.1.0",
            image_shape=None,
            class_names=classes.imagenet_names(),
            split_sizes={"train": 1_281_167, "test": 50_000},
            # The labels of the challenge's own test images were never published.
            test_split="validation",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            source="Russakovsky et al. 2015, https://www.image-net.org (manual download)",
        ),
        Dataset(
            name="oxford_iiit_pet",
            version="4.0.0",
            image_shape=None,
            class_names=classes.OXFORD_IIIT_PET,
            split_sizes={"train": 3_680, "test": 3_669},
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            source="Parkhi et al. 2012, https://www.robots.ox.ac.uk/~vgg/data/pets/",
            parts={"label": LABEL, "mask": MASK},
            features={"mask": "segmentation_mask"},
            # As the set's authors describe it, 3 is not classified: the animal's outline.
            mask_names=("background", "pet"),
            mask_labels={1: 1, 2: 0, 3: IGNORED},
        ),
    )
}


def list_datasets() -> list[str]:
    """Returns the names in the catalogue, sorted; `dataset` also takes others."""
    return sorted([*_CATALOGUE, SCENES])


def dataset(name: str, data_dir: str | None = None) -> Dataset:
    """Returns the set of that name.

    Args:
        name: one of the catalogue; any other TFDS set that is prepared in the data folder and has
            an image and a label (`flowers` or, with a configuration, `imagenette/160px-v2`);
            `digit_scenes/SIZE_OBJECTS`, such as `digit_scenes/96_9`, see `digit_scenes`; or
            `folder:PATH`, a folder that holds `train/CLASS/IMAGE` and `test/CLASS/IMAGE`
            (or `val`, or `validation`), or `CLASS/IMAGE` alone, see `folder_dataset`. `folder:` may
            be left out where the folder exists and no set has its name; or `masks:PATH`, a folder
            of images and masks, see `mask_folder_dataset`.
        data_dir: TFDS data folder; None means TFDS's default.

    Returns:
        The set's description. Sets outside the catalogue have ImageNet's mean and standard
        deviation if they are in color, and 0.5 for both if they are gray.

    Raises:
        DataError: no set has that name (the message names the nearest), it is neither in the
            catalogue nor prepared, or its folder does not have the expected layout.
    """
    if name.startswith(MASKS_PREFIX):
        return mask_folder_dataset(name)
    # The start of a path suffices, so that a missing folder is reported as such.
    if name.startswith((FOLDER_PREFIX, "/", "./", "../", "~/")):
        return folder_dataset(name)
    if name in _CATALOGUE:
        return _CATALOGUE[name]
    if name.partition("/")[0] == SCENES:
        return digit_scenes(name)
    folder = find_prepared(name, data_dir)
    if folder is not None:
        return _described(name, folder)
    # After the sets, so that a folder in the working directory does not hide one.
    if os.path.isdir(os.path.expanduser(name)):
        return folder_dataset(name)
    # Last, since `_tfds_names` imports TFDS, which takes seconds.
    base = name.partition("/")[0]
    known = sorted({*list_datasets(), *_tfds_names()})
    if base in known:
        raise not_prepared(name, data_dir)
    raise DataError(
        f"dataset: {name!r} is unknown; {did_you_mean(name, known)}known: "
        f"{', '.join(list_datasets())}, any other TFDS set that is prepared, and "
        f"{FOLDER_PREFIX}PATH for images in one folder per class, {MASKS_PREFIX}PATH for "
        "images with masks, or voc:PATH or coco:PATH for images with boxes"
    )


def _tfds_names() -> list[str]:
    # Here, since it takes seconds.
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def _described(name: str, folder: Any) -> Dataset:
    """Describes a prepared set by the metadata that TFDS wrote."""
    info = read_info(folder)
    gray = info.image_shape is not None and info.image_shape[2] == 1
    sizes = {"train": info.split_sizes["train"]} if "train" in info.split_sizes else {}
    test_split = next((s for s in ("test", "validation") if s in info.split_sizes), None)
    if test_split:
        sizes["test"] = info.split_sizes[test_split]
    return Dataset(
        name=name,
        version=folder.name,
        config=name.partition("/")[2],
        image_shape=info.image_shape,
        class_names=info.class_names,
        split_sizes=sizes,
        mean=(0.5,) if gray else IMAGENET_MEAN,
        std=(0.5,) if gray else IMAGENET_STD,
        source=info.homepage,
        test_split=test_split or "test",
    )
