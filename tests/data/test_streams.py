from typing import Any

import jax
import numpy as np
import pytest

from cnnjax import data

KEY = jax.random.key(3)


def examples(count=20, **parts):
    images = np.zeros((count, 4, 4, 1), np.uint8)
    columns: dict[str, Any] = {"image": images, "label": np.arange(count) % 3} | parts
    return data.from_arrays(**columns)


def test_a_stream_is_shuffled_by_default():
    stream = data.Stream(examples(), 6)
    order = stream.make_order(KEY)
    assert (stream.epoch_steps, order.block_steps, order.batch_size) == (3, 3, 6)
    expected = np.asarray(data.epoch_order(KEY, 0, 20))[:18]
    np.testing.assert_array_equal(order.block(0).reshape(-1), expected)
    # Another stream than the first continues across epochs, and may be smaller than a batch.
    beside = data.Stream(examples(5), 6).make_order(KEY, first=False)
    assert np.bincount(beside.block(0)[:5].reshape(-1)).tolist() == [6] * 5


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ("balanced", data.BalancedOrder),
        (data.Episodes(2, 1, 2), data.EpisodeOrder),
        (lambda seed, step: np.arange(6), data.FunctionOrder),
    ],
)
def test_each_order_is_made(order, kind):
    made = data.Stream(examples(), 6, order=order).make_order(KEY)
    assert isinstance(made, kind)
    assert made.block(0).shape == (made.block_steps, 6)


def test_the_part_with_the_classes_is_chosen():
    two = examples(domain=np.arange(20) // 10, kinds={"domain": "label"})
    order = data.Stream(two, 4, order="balanced", by="domain").make_order(KEY)
    assert (np.sort(order.block(0) // 10, axis=1) == [0, 0, 1, 1]).all()
    with pytest.raises(ValueError, match=r"the examples have 2: name one, as by='label'"):
        data.Stream(two, 4, order="balanced")
    with pytest.raises(ValueError, match=r"by: 'image' is no part of kind label; .*'domain'"):
        data.Stream(two, 4, order="balanced", by="image")
    unlabeled = data.from_arrays(image=np.zeros((4, 2, 2, 1)))
    with pytest.raises(ValueError, match=r"order: Episodes needs .* have 0: give one"):
        data.Stream(unlabeled, 4, order=data.Episodes(2, 1, 1))


def test_views_have_names_and_augmentations():
    assert data.Stream(examples(), 6, "flip").policies == {"": data.parse_policy("flip")}
    views = {"weak": "flip", "strong": "flip, cutout(2)"}
    policies = data.Stream(examples(), 6, views=views).policies
    assert {name: str(policy) for name, policy in policies.items()} == {
        "weak": "flip()",
        "strong": "flip(), cutout(size=2)",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"examples": np.zeros(3)}, r"examples: ndarray was given; make examples .*from_arrays"),
        ({"batch_size": 0}, r"batch_size: 0 was given; give 1 or more"),
        ({"batch_size": 2.0}, r"batch_size: 2.0 was given; give a whole number"),
        ({"augmentation": "flop"}, r"unknown augmentation 'flop'; did you mean flip"),
        ({"augmentation": 3}, r"augmentation: 3 was given; give a text such as 'crop\(4\), flip'"),
        ({"augmentation": "flip", "views": {"weak": ""}}, r"views: an augmentation was given"),
        ({"views": {}}, r"views: there are none"),
        ({"views": {"weight": ""}}, r"views: 'weight' cannot name a view"),
        ({"views": {"two words": ""}}, r"views: 'two words' cannot name a view"),
        ({"order": "shufled"}, r"order: 'shufled' is unknown; did you mean shuffled"),
        ({"order": data.Episodes(2, 1, 1)}, r"batch_size: 6 .*has 4 examples; give that"),
    ],
)
def test_a_stream_that_cannot_work_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.Stream(**({"examples": examples(), "batch_size": 6} | arguments))


def test_episodes_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"episodes: 2 ways, 0 shots and 1 queries were given"):
        data.Episodes(2, 0, 1)


def test_a_reader_follows_the_order():
    given = examples(20, value=np.arange(20) / 4)
    order = data.Stream(given, 6, order="balanced").make_order(KEY)
    batches = data.Reader(given, order).batches(70)
    for step in range(70, 73):
        batch = next(batches)
        positions = data.positions_at(order, step)
        np.testing.assert_array_equal(batch["position"], positions)
        np.testing.assert_array_equal(batch["value"], positions / 4)
        assert batch.keys() == {"image", "label", "value", "weight", "position"}
    batches.close()


def test_an_example_that_comes_twice_is_drawn_twice():
    class Random(data.Examples):
        def __init__(self):
            self.spec = {"value": data.PartSpec((), np.dtype(np.float32), "value")}

        def __len__(self):
            return 2

        def read(self, position, generator=None):
            assert generator is not None
            return {"value": np.float32(generator.uniform())}

        def identity(self):
            return {}

    order = data.ShuffledOrder(KEY, 2, 8, wrap=True)

    def values(**options):
        batches = data.Reader(Random(), order, **options).batches(5)
        found = next(batches)["value"]
        batches.close()
        return found

    whole = values()
    assert len(set(whole.tolist())) == 8
    hosts = [values(process_index=i, process_count=2) for i in range(2)]
    np.testing.assert_array_equal(np.concatenate(hosts), whole)
