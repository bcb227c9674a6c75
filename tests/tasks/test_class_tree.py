"""Hierarchical errors against trees whose costs are counted on paper, and against a search."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnjax.data.classes import imagenet_names, imagenet_synsets
from cnnjax.tasks import Classification, ClassTree, read_class_tree
from cnnjax.tasks.class_tree import hierarchical_error
from scripts.make_class_tree import license_lines, read_hypernyms, tree_lines
from tests.tasks.scores import Scores, batch_of, moment

# thing: (animal: (dog: (poodle, beagle), cat), car)
ANIMALS = {
    "poodle": ("dog",),
    "beagle": ("dog",),
    "dog": ("animal",),
    "cat": ("animal",),
    "animal": ("thing",),
    "car": ("thing",),
}
NAMES = ("poodle", "beagle", "cat", "car")
COSTS = [[0, 1, 2, 3], [1, 0, 2, 3], [2, 2, 0, 3], [3, 3, 3, 0]]


def test_costs_are_the_heights_of_the_lowest_common_ancestors():
    np.testing.assert_array_equal(ClassTree(ANIMALS).costs(NAMES), COSTS)
    # Of fewer classes the tree is lower: without dogs, "thing" is two levels above "cat".
    np.testing.assert_array_equal(ClassTree(ANIMALS).costs(("cat", "car")), [[0, 2], [2, 0]])
    assert ClassTree({"one": ()}).costs(("one",)).tolist() == [[0]]


def test_of_several_parents_the_lower_one_counts():
    """A hinny is a horse and a donkey; the way over "equine" is the longer one."""
    parents = {
        "hinny": ("donkey", "horse"),
        "pony": ("horse",),
        "burro": ("donkey",),
        "donkey": ("equine",),
        "horse": ("equine",),
        "zebra": ("equine",),
    }
    costs = ClassTree(parents).costs(("hinny", "pony", "burro", "zebra"))
    assert costs.tolist() == [[0, 1, 1, 2], [1, 0, 2, 2], [1, 2, 0, 2], [2, 2, 2, 0]]


def test_a_class_may_be_an_ancestor_of_another():
    costs = ClassTree(ANIMALS).costs(("poodle", "dog", "cat"))
    assert costs.tolist() == [[0, 1, 2], [1, 0, 2], [2, 2, 0]]


@st.composite
def graphs(draw):
    """Parents by node; the parents of a node have smaller numbers, and 0 is the root."""
    count = draw(st.integers(2, 12))
    parents = {"0": ()}
    for node in range(1, count):
        above = draw(st.lists(st.integers(0, node - 1), min_size=1, max_size=3, unique=True))
        parents[str(node)] = tuple(map(str, above))
    return parents


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_costs_agree_with_a_search_over_all_paths(parents):
    classes = [
        node for node in parents if node not in {p for above in parents.values() for p in above}
    ]

    def ancestors(node):
        return {node}.union(*map(ancestors, parents[node]))

    def height(node):
        below = [child for child, above in parents.items() if node in above]
        return max((1 + height(child) for child in below), default=0)

    expected = [
        [0 if a == b else min(map(height, ancestors(a) & ancestors(b))) for b in classes]
        for a in classes
    ]
    np.testing.assert_array_equal(ClassTree(parents).costs(classes), expected)


def test_wordnet_knows_imagenet_by_names_and_by_synsets():
    tree = read_class_tree("wordnet")
    names = imagenet_names()
    costs = tree.costs(names)
    np.testing.assert_array_equal(costs, tree.costs(imagenet_synsets()))
    np.testing.assert_array_equal(costs, costs.T)
    off = costs[~np.eye(1000, dtype=bool)]
    assert off.min() == 1 and (np.diag(costs) == 0).all()
    places = {name: place for place, name in enumerate(names)}

    def cost(a, b):
        return costs[places[a], places[b]]

    # Both terriers, both dogs, both animals, both things.
    near = cost("Norfolk terrier", "Norwich terrier")
    assert near < cost("Norfolk terrier", "tabby") < cost("Norfolk terrier", "tench")
    assert cost("Norfolk terrier", "tench") < cost("Norfolk terrier", "bagel")
    # A minivan is a car, and below the car there is one level of kinds.
    assert cost("minivan", "convertible") < cost("minivan", "airliner")


@pytest.mark.parametrize(
    ("parents", "message"),
    [
        ({}, "it is empty"),
        ({"a": ("b",), "b": ("c",), "c": ("a",)}, "a -> b -> c -> a|b -> c -> a -> b|c -> a -> b"),
        ({"a": ("a",)}, "a -> a is a cycle"),
        ({"a": ("x",), "b": ("y",)}, "2 nodes have no parent: x, y|2 nodes have no parent: y, x"),
        ({"cat": "pet"}, r"parents of 'cat' are 'pet'; give a tuple"),
    ],
)
def test_what_is_no_tree_is_refused(parents, message):
    with pytest.raises(ValueError, match=message):
        ClassTree(parents)


def test_a_class_that_is_missing_is_named():
    with pytest.raises(ValueError, match="'poodel' is not in the tree; did you mean poodle"):
        ClassTree(ANIMALS).costs(("poodel", "cat"))
    with pytest.raises(ValueError, match="the class '7' is not in the tree"):
        Classification(("7", "8"), class_tree="wordnet")
    wrong: Any = 3
    with pytest.raises(ValueError, match="class_tree: 3 was given; give 'wordnet'"):
        Classification(("7", "8"), class_tree=wrong)


def test_files_hold_the_same_tree_as_text_and_as_json(tmp_path):
    text, values = tmp_path / "tree.txt", tmp_path / "tree.json"
    lines = ["# animals", "", *("\t".join((name, *above)) for name, above in ANIMALS.items())]
    text.write_text("\n".join(lines))
    values.write_text(json.dumps({n: a[0] for n, a in ANIMALS.items()} | {"thing": None}))
    for path in (text, values):
        np.testing.assert_array_equal(read_class_tree(path).costs(NAMES), COSTS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "cat\tpet\ncat\tanimal\n", "line 2 gives 'cat' a second time"),
        ("a.txt", "cat\t\n", "line 1 has an empty name"),
        ("a.json", '{"cat": "pet", "cat": "x"}', "'cat' is given a second time"),
        ("a.json", '{"cat": 3}', "parent of 'cat' is 3"),
        ("a.json", "[1]", "must hold an object"),
        ("a.json", "{", r"a\.json"),
        ("a.txt", None, "cannot be read.*give 'wordnet'"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_class_tree(tmp_path / name)


LABELS = np.array([0, 1, 2, 3, 0, 0, 2])
GUESSES = np.array([0, 0, 3, 3, 2, 1, 2])
# 0, 1, 3, 0, 2, 1, 0 levels, of 3 at most.
ERROR = 7 / (7 * 3)


@pytest.mark.parametrize("size", [3, 7])
def test_metric_and_evaluation_are_exact_for_every_batch_size(size):
    task = Classification(NAMES, class_tree=ClassTree(ANIMALS))
    logits = 5.0 * np.eye(4)[GUESSES]
    sums, own = {}, {}
    variables = {"params": {}, "batch_stats": {"count": jnp.float32(0)}}
    for start in range(0, 7, size):
        batch = batch_of(logits[start : start + size], LABELS[start : start + size])
        part, _ = task.evaluate(Scores(), variables, batch, moment(task, batch, False))
        sums = part if not sums else jax.tree.map(jnp.add, sums, part)
        part = task.prediction_sums(task.predict(batch["image"]), batch)
        own = part if not own else jax.tree.map(jnp.add, own, part)
    assert task.metrics(sums)["hierarchical_error"] == pytest.approx(ERROR, rel=1e-6)
    evaluation = task.assess(jax.device_get(own))
    assert evaluation.metrics["hierarchical_error"] == ERROR
    # Four mistakes.
    assert evaluation.metrics["mistake_levels"] == 7 / 4
    text = dict(evaluation.lines)["hierarchical error"]
    assert text == "33.33% (mistakes are 1.75 of 3 levels wrong)"
    assert evaluation.details["hierarchical_error"] == ERROR


def test_without_a_prediction_the_whole_height_counts():
    task = Classification(NAMES, class_tree=ClassTree(ANIMALS))
    batch = batch_of([[0, 0, 0, np.nan], [9, 0, 0, 0]], [0, 0])
    variables = {"params": {}, "batch_stats": {"count": jnp.float32(0)}}
    sums, _ = task.evaluate(Scores(), variables, batch, moment(task, batch, False))
    assert float(sums["levels"]) == 3
    own = task.prediction_sums(task.predict(batch["image"]), batch)
    evaluation = task.assess(jax.device_get(own))
    assert evaluation.metrics["hierarchical_error"] == 0.5


def test_without_mistakes_there_is_no_level():
    found = hierarchical_error(np.eye(3, 4, dtype=int), np.ones((3, 3), int) - np.eye(3, dtype=int))
    assert found.error == 0 and np.isnan(found.mistake_levels)
    task = Classification(("cat", "car"), class_tree=ClassTree(ANIMALS))
    own = task.prediction_sums(jnp.log(jnp.float32([[0.9, 0.1]])), batch_of([[0, 0]], [0]))
    details = task.assess(jax.device_get(own)).details
    assert details["mistake_levels"] is None and json.dumps(details)


def test_a_flat_tree_gives_the_top1_error_and_no_tree_gives_nothing():
    flat = Classification(NAMES, class_tree=ClassTree({name: ("root",) for name in NAMES}))
    own = flat.prediction_sums(
        flat.predict(jnp.float32(5 * np.eye(4)[GUESSES])), batch_of(np.zeros((7, 4)), LABELS)
    )
    sums = jax.device_get(own)
    metrics = flat.assess(sums).metrics
    assert metrics["hierarchical_error"] == pytest.approx(metrics["top1_error"])
    plain = dataclasses.replace(flat, class_tree="")
    assert "hierarchical_error" not in plain.assess(sums).metrics


NOUNS = """\
  1 This software and database is being provided to you, the LICENSEE, by
  2 Princeton University
00000001 03 n 01 entity 0 001 ~ 00000002 n 0000 | all
00000002 03 n 02 animal 0 beast 0 003 @ 00000001 n 0000 ~ 00000003 n 0000 + 00000009 v 0101 | a
00000003 05 n 01 dog 0 002 @ 00000002 n 0000 @i 00000004 n 0000 | barks | twice
00000004 05 n 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 001 @ 00000001 n 0000 | ten words
"""


def test_the_script_reads_hypernyms_of_wordnet():
    lines = NOUNS.splitlines()
    parents = read_hypernyms(lines)
    assert parents["n00000003"] == ("n00000002", "n00000004")
    assert parents["n00000004"] == parents["n00000002"] == ("n00000001",)
    assert [line[0] for line in tree_lines(["n00000003"], parents)] == [
        "n00000003",
        "n00000002",
        "n00000004",
        "n00000001",
    ]
    assert license_lines(lines)[1] == "Princeton University"
    with pytest.raises(SystemExit, match="n9"):
        tree_lines(["n9"], parents)
