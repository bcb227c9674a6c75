"""From base to novel classes: disjoint splits, features, and two classifiers in closed form."""

from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from sklearn.linear_model import Ridge

from cnnjax import data
from cnnjax.transfer import domains, few_labels
from cnnjax.transfer.domains.base_to_novel import RIDGES

PIXELS, LABELS = (part[:200] for part in sklearn.datasets.load_digits(return_X_y=True))
IMAGES = (PIXELS.reshape(-1, 8, 8, 1) * 15.9).astype(np.uint8)
EXAMPLES = data.from_arrays(image=IMAGES, label=LABELS)
SPLIT = domains.ClassSplit(base=(7, 0, 1, 2, 3, 4), novel=(9, 5, 6, 8))
OTHER: Any = "test"
RANDOM = np.random.default_rng(0)


def test_no_example_is_in_both_splits_and_all_are_in_one():
    parts = {part: SPLIT.choose(EXAMPLES, part) for part in ("base", "novel")}
    found = {
        part: {image.tobytes() for image in own.column("image")} for part, own in parts.items()
    }
    assert not found["base"] & found["novel"]
    assert len(found["base"] | found["novel"]) == 200
    whole = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=False)}
    for part, own in parts.items():
        classes = getattr(SPLIT, part)
        for image, label in zip(own.column("image"), own.column("label"), strict=True):
            assert classes[label] == whole[image.tobytes()]
    assert SPLIT.names("novel", tuple("abcdefghij")) == ("j", "f", "g", "i")


def test_nearest_means_are_of_centered_features_of_unit_length():
    # Two directions from a center far away; lengths differ, and classes are not 0 and 1.
    center = np.array([100.0, 100.0, 0.0])
    support = center + np.array([[1, 0, 0], [9, 0, 0], [-1, 0, 0], [-9, 0, 0.0]])
    labels = np.array([3, 3, 5, 5])
    queries = center + np.array([[0.1, 0.02, 0], [-30, 5, 1.0]])
    np.testing.assert_array_equal(domains.nearest_means(support, labels, queries), [3, 5])


@pytest.mark.parametrize("count", [8, 60])
def test_ridge_is_scikit_learns_with_the_least_error_of_examples_left_out(count):
    support = RANDOM.normal(size=(count, 20))
    labels = np.arange(count) % 4
    support[np.arange(count), labels] += 1.0
    queries = RANDOM.normal(size=(50, 20)) + np.eye(20)[RANDOM.integers(0, 4, 50)]
    truth = np.eye(4)[labels]
    scale = np.linalg.eigvalsh(np.cov(support.T, bias=True) * count).sum() / count
    errors = []
    for ridge in RIDGES:
        left_out = []
        for place in range(count):
            kept = np.arange(count) != place
            fitted = Ridge(alpha=ridge * scale).fit(support[kept], truth[kept])
            left_out.append((fitted.predict(support[[place]]) - truth[place]) ** 2)
        errors.append(np.mean(left_out))
    best = RIDGES[int(np.argmin(errors))]
    expected = Ridge(alpha=best * scale).fit(support, truth).predict(queries).argmax(axis=1)
    np.testing.assert_array_equal(domains.ridge_classes(support, labels, queries), expected)


WRONG = {
    "both": (lambda: domains.ClassSplit((0, 1, 2), (2, 3)), "class 2 is there twice"),
    "twice": (lambda: domains.ClassSplit((0, 1, 1), (2, 3)), "class 1 is there twice"),
    "one": (lambda: domains.ClassSplit((0, 1), (2,)), r"novel: \(2,\) was given; give two"),
    "in none": (
        lambda: domains.ClassSplit((0, 1, 2, 3), (4, 5, 6, 7, 8)).choose(EXAMPLES, "base"),
        "examples: class 9 is in no split",
    ),
    "no example": (
        lambda: domains.ClassSplit(tuple(range(10)), (10, 11)).choose(EXAMPLES, "novel"),
        "class 10 has no example",
    ),
    "part": (lambda: SPLIT.choose(EXAMPLES, OTHER), "part: 'test' was given"),
    "labels": (
        lambda: few_labels.split_labels(SPLIT.choose(EXAMPLES, "novel").column("label"), 40),
        "40 labels of each class were requested",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_splits_that_cannot_be_are_refused(name):
    make, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        make()
