"""Many classes of few: two images side by side are of the class that both make."""

import numpy as np

from cnnjax import data


def paired_classes(
    examples: data.Examples, classes: int, each: int, seed: int = 0
) -> data.ArrayExamples:
    """Returns pairs of images side by side, as digits make the numbers 00 to 99.

    A pair of classes a and b is of class a * classes + b. Both images are drawn evenly from all of
    their class, so that an image comes in several pairs.

    Args:
        examples: with images and a part `label`.
        classes: number of classes.
        each: pairs of each of the classes * classes new classes.
        seed: draws the images.

    Raises:
        ValueError: `each` is less than 1, or a class has no example.

    Example:
        >>> import numpy as np
        >>> from cnnjax import data
        >>> images = np.zeros((2, 8, 8, 1), np.uint8)
        >>> pairs = paired_classes(data.from_arrays(image=images, label=[0, 1]), classes=2, each=3)
        >>> pairs.take([0])["image"].shape, np.bincount(pairs.column("label")).tolist()
        ((1, 8, 16, 1), [3, 3, 3, 3])
    """
    if isinstance(each, bool) or not isinstance(each, int) or each < 1:
        raise ValueError(f"each: {each!r} was given; give a whole number from 1 on")
    labels = examples.column("label")
    members = [np.flatnonzero(labels == label) for label in range(classes)]
    if absent := [label for label, found in enumerate(members) if not len(found)]:
        raise ValueError(f"classes: class {absent[0]} of {classes} has no example")
    counts = np.array([len(found) for found in members])
    made = np.repeat(np.arange(classes**2), each)
    halves = []
    for side, label in enumerate((made // classes, made % classes)):
        generator = np.random.default_rng([seed, side])
        # A place among the members of each pair's class, whatever their number.
        places = (generator.random(len(made)) * counts[label]).astype(np.int64)
        positions = np.array([members[c][place] for c, place in zip(label, places, strict=True)])
        halves.append(examples.take(positions)["image"])
    return data.from_arrays(image=np.concatenate(halves, axis=2), label=made)
