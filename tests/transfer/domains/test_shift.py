"""Shifted, divided and joined examples: the same by content and seed, and disjoint."""

from typing import Any

import numpy as np
import pytest
import sklearn.datasets

from cnnjax import data
from cnnjax.transfer import domains

PIXELS, LABELS = (part[:60] for part in sklearn.datasets.load_digits(return_X_y=True))
IMAGES = (PIXELS.reshape(-1, 8, 8, 1) * 15.9).astype(np.uint8)
EXAMPLES = data.from_arrays(image=IMAGES, label=LABELS)
BLENDED = (domains.Resized(12), domains.Blended(), domains.Noisy(0.05))


class Read:
    """The same digits, read on demand."""

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, position):
        return IMAGES[position], LABELS[position]


def keys(examples):
    """Returns each example's pixels, which identify it."""
    return {image.tobytes() for image in examples.column("image")}


def test_a_digit_looks_the_same_in_every_choice_of_the_examples():
    whole = domains.shift(EXAMPLES, *BLENDED, seed=3)
    assert whole.spec["image"].shape == (12, 12, 3)
    chosen = [41, 7, 19]
    first = domains.shift(data.choose(EXAMPLES, chosen), *BLENDED, seed=3)
    np.testing.assert_array_equal(first.column("image"), whole.column("image")[chosen])
    np.testing.assert_array_equal(first.column("label"), LABELS[chosen])


def test_another_seed_and_another_digit_draw_otherwise():
    black = data.from_arrays(image=np.zeros((2, 8, 8, 1), np.uint8), label=[0, 1])
    black.arrays["image"][1, 0, 0] = 1
    noise = [
        domains.shift(black, domains.Noisy(), seed=seed).column("image")[digit, 1:]
        for seed, digit in ((0, 0), (0, 1), (1, 0))
    ]
    assert all((noise[one] != noise[other]).any() for one, other in ((0, 1), (0, 2)))


def test_equal_transforms_in_a_row_draw_independently():
    black = data.from_arrays(image=np.zeros((1, 8, 8, 1), np.uint8), label=[0])
    once = domains.shift(black, domains.Noisy(0.01)).column("image").astype(int)
    twice = domains.shift(black, domains.Noisy(0.01), domains.Noisy(0.01)).column("image")
    assert (twice - once != once)[once > 0].any()


def test_examples_that_are_read_on_demand_stay_so():
    lazy = domains.shift(data.from_source(Read()), *BLENDED, seed=3)
    assert lazy.arrays is None
    assert len(lazy) == 60
    whole = domains.shift(EXAMPLES, *BLENDED, seed=3)
    np.testing.assert_array_equal(lazy.read(5)["image"], whole.column("image")[5])
    np.testing.assert_array_equal(lazy.column("image"), whole.column("image"))
    assert {n: (p.shape, p.dtype) for n, p in lazy.spec.items()} == {
        n: (p.shape, p.dtype) for n, p in whole.spec.items()
    }


def test_the_identity_names_examples_transforms_and_seed():
    identities = [
        domains.shift(EXAMPLES, *transforms, seed=seed).identity()
        for transforms, seed in (
            ((domains.Blurred(1.0),), 0),
            ((domains.Blurred(2.0),), 0),
            ((domains.Blurred(1.0),), 1),
            ((domains.Blended(),), 0),
            ((domains.Blended(domains.photographs(shrink=5)),), 0),
        )
    ]
    assert all(identities.count(identity) == 1 for identity in identities)
    again = domains.shift(EXAMPLES, domains.Blurred(1.0)).identity()
    assert again == identities[0]


def test_parts_are_disjoint_and_hold_all():
    parts = domains.disjoint_parts(EXAMPLES, 7, seed=1)
    assert sorted(len(part) for part in parts) == [8] * 3 + [9] * 4
    found = [keys(part) for part in parts]
    assert len(set().union(*found)) == sum(map(len, found)) == len(keys(EXAMPLES)) == 60


def test_rotated_domains_turn_disjoint_parts():
    rotated = domains.rotated_domains(EXAMPLES, (0, 90), seed=2)
    assert list(rotated) == ["0", "90"]
    upright = data.from_arrays(
        image=np.rot90(rotated["90"].column("image"), -1, axes=(1, 2)), label=np.zeros(30, int)
    )
    assert keys(rotated["0"]) | keys(upright) == keys(EXAMPLES)
    assert not keys(rotated["0"]) & keys(upright)


@pytest.mark.parametrize("lazy", [False, True])
def test_the_left_out_domain_has_no_example_among_the_others(lazy):
    whole = data.from_source(Read()) if lazy else EXAMPLES
    rotated = domains.rotated_domains(whole, (0, 30, 60))
    left = domains.leave_one_out(rotated, "30")
    assert left.names == ("0", "60")
    np.testing.assert_array_equal(left.sources.column("domain"), [0] * 20 + [1] * 20)
    assert keys(left.sources) == keys(rotated["0"]) | keys(rotated["60"])
    assert not keys(left.sources) & keys(left.target)
    assert left.sources.spec["domain"].kind == "label"
    assert left.sources.read(30)["domain"] == 1
    assert (left.sources.arrays is None) == lazy
    stream = data.Stream(left.sources, 8, order="balanced", by="domain")
    assert stream.label_part == "domain"


WRONG_TYPE: Any = domains.Inverted
HALF: Any = 0.5
ARRAY: Any = IMAGES
MASKED = data.from_arrays(image=IMAGES, mask=np.zeros((60, 8, 8), int))
WRONG = {
    "array": (lambda: domains.shift(ARRAY), "examples: ndarray was given"),
    "floats": (
        lambda: domains.shift(data.from_arrays(image=IMAGES / 255.0), domains.Inverted()),
        "image: images of float32 were given",
    ),
    "mask": (lambda: domains.shift(MASKED, domains.Inverted()), "mask: it would not move"),
    "class": (lambda: domains.shift(EXAMPLES, WRONG_TYPE), "transforms: <class .* is none"),
    "seed": (lambda: domains.shift(EXAMPLES, seed=HALF), "seed: 0.5 was given"),
    "no image": (
        lambda: domains.shift(data.from_arrays(label=[1]), domains.Inverted()),
        "there are no images among label",
    ),
    "too many": (lambda: domains.disjoint_parts(EXAMPLES, 61), "61 sets cannot be made of 60"),
    "no count": (lambda: domains.disjoint_parts(EXAMPLES, 0), "count: 0 was given"),
    "twice": (lambda: domains.rotated_domains(EXAMPLES, (15, 15.0)), "give each angle once"),
    "unknown": (
        lambda: domains.leave_one_out({"15": EXAMPLES, "30": EXAMPLES}, "16"),
        "left_out: '16' is no domain",
    ),
    "only": (lambda: domains.leave_one_out({"0": EXAMPLES}, "0"), "'0' is the only one"),
    "forms": (
        lambda: domains.join_domains({"a": EXAMPLES, "b": domains.shift(EXAMPLES, domains.RGB())}),
        "sets of one form",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused(name):
    make, message = WRONG[name]
    with pytest.raises(data.DataError, match=message):
        make()
