import numpy as np
import pytest

from cnnjax import search

SPACE = search.CellSpace(nodes=3)


def changed(first, other):
    return [
        (a, b)
        for one, two in zip(SPACE.encode(first), SPACE.encode(other), strict=True)
        for a, b in [(one, two)]
        if a != b
    ]


def test_a_mutation_changes_one_decision_and_stays_in_the_space():
    random = np.random.default_rng(0)
    genome = SPACE.draw(random)
    for _ in range(300):
        child = search.mutate(genome, SPACE, random)
        SPACE.check(child)
        assert len(changed(genome, child)) == 1
        genome = child


def test_every_decision_is_reached_by_mutations():
    random = np.random.default_rng(0)
    genome = SPACE.draw(random)
    decisions = SPACE.encode(genome)
    children = {SPACE.encode(search.mutate(genome, SPACE, random)) for _ in range(4000)}
    reached = {(at, d[at]) for d in children for at in range(len(d)) if d[at] != decisions[at]}
    assert len(reached) == sum(options - 1 for options in SPACE.choices)


def test_a_space_of_one_genome_has_no_other_child():
    space = search.CellSpace(("identity",), nodes=1, inputs=1, edges=1, reduction=False)
    genome = space.draw(np.random.default_rng(0))
    assert search.mutate(genome, space, np.random.default_rng(0)) == genome


def nodes_of(genome):
    return [node for cell in genome for node in cell]


def test_a_child_of_two_has_each_node_from_one_of_them():
    random = np.random.default_rng(0)
    first, second = SPACE.draw(random), SPACE.draw(random)
    mixed = 0
    for _ in range(100):
        child = search.cross(first, second, SPACE, random)
        SPACE.check(child)
        nodes, ones, twos = (nodes_of(genome) for genome in (child, first, second))
        assert all(n in pair for n, *pair in zip(nodes, ones, twos, strict=True))
        mixed += nodes not in (ones, twos)
    assert mixed > 80


def test_parents_of_another_space_are_refused():
    foreign = search.parse_genome("normal: identity(0)")
    own = SPACE.draw(np.random.default_rng(0))
    with pytest.raises(search.GenomeError, match="another space"):
        search.mutate(foreign, SPACE, np.random.default_rng(0))
    with pytest.raises(search.GenomeError, match="another space"):
        search.cross(own, foreign, SPACE, np.random.default_rng(0))
