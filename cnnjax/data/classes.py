"""Names of the classes of larger sets, in label order."""

import importlib.util
from pathlib import Path

from cnnjax.data.errors import DataError

FASHION_MNIST = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

CIFAR100 = tuple(_CIFAR100.split())

IMAGENETTE = (
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
)

_OXFORD_IIIT_PET = """
Abyssinian american_bulldog american_pit_bull_terrier basset_hound beagle Bengal Birman Bombay
boxer British_Shorthair chihuahua Egyptian_Mau english_cocker_spaniel english_setter
german_shorthaired great_pyrenees havanese japanese_chin keeshond leonberger Maine_Coon
miniature_pinscher newfoundland Persian pomeranian pug Ragdoll Russian_Blue saint_bernard
samoyed scottish_terrier shiba_inu Siamese Sphynx staffordshire_bull_terrier wheaten_terrier
yorkshire_terrier
"""

OXFORD_IIIT_PET = tuple(_OXFORD_IIIT_PET.split())


def imagenet_synsets() -> tuple[str, ...]:
    """Returns the WordNet identifiers of ImageNet's 1,000 classes, from the TFDS package's list.

    Prepared sets and folders of ImageNet name the classes by them.

    Raises:
        DataError: the package is not installed, or its list is no longer at its old place.
    """
    # Found, not imported: importing it takes seconds.
    package = importlib.util.find_spec("tensorflow_datasets")
    if package is not None and package.origin is not None:
        path = Path(package.origin).parent / "datasets" / "imagenet2012" / "labels.txt"
        if path.exists():
            return tuple(path.read_text().split())
    raise DataError("imagenet2012: its classes are not found; pip install tensorflow-datasets")


def imagenet_names() -> tuple[str, ...]:
    """Returns English names of ImageNet's 1,000 classes, in label order, all different.

    They are the first word of each class's WordNet synset, as timm 1.0.31 lists them
    (`timm/data/_info/imagenet_synset_to_lemma.txt`), in the order of `imagenet_synsets`. Two words
    come twice there: here each "crane" names its kind, and the second "maillot" is its other word,
    "tank suit".
    """
    path = Path(__file__).parent / "class_names" / "imagenet.txt"
    return tuple(path.read_text(encoding="utf-8").splitlines())


def imagenet_tree() -> str:
    """Returns ImageNet's classes and their ancestors in WordNet, a synset and its parents a line.

    The classes come first, in label order. `scripts/make_class_tree.py` makes the file from WordNet
    3.0, whose license is at its head.
    """
    path = Path(__file__).parent / "class_names" / "imagenet_tree.txt"
    return path.read_text(encoding="utf-8")
