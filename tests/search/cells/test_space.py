import itertools

import numpy as np
import pytest

from cnnjax import search
from cnnjax.parts import PartError
from cnnjax.search.table.table import SPACE

SMALL = search.CellSpace(("conv_1x1", "identity"), nodes=3, inputs=2, edges=2)


def meaning(genome):
    """Returns the sum of products that a cell of two nodes and one input computes."""
    values = ["x"]
    for node in genome.normal:
        terms = sorted(f"{operation}<{values[source]}>" for source, operation in node)
        values.append("+".join(terms))
    inner = values[1] if all(e.source != 1 for e in genome.normal[1]) else None
    return tuple(sorted(v for v in (inner, values[2]) if v is not None))


def test_one_genome_for_each_network():
    genomes = list(SPACE.every())
    assert len(genomes) == SPACE.size == (4 * 4) * (8 * 8)
    by_meaning = {}
    for genome in genomes:
        by_meaning.setdefault(meaning(genome), set()).add(SPACE.canonical(genome))
    assert all(len(forms) == 1 for forms in by_meaning.values())
    forms = {form for forms in by_meaning.values() for form in forms}
    assert len(forms) == len(by_meaning)
    assert sorted(map(str, forms)) == [str(genome) for genome in SPACE.distinct()]
    # Unordered pairs of 4 and of 8 edges, less the orders of two nodes that need each other not.
    assert len(forms) == 10 * 36 - 45 == 315


def test_canonical_form_is_its_own_and_of_the_space():
    random = np.random.default_rng(0)
    for _ in range(50):
        form = SMALL.canonical(SMALL.draw(random))
        SMALL.check(form)
        assert SMALL.canonical(form) == form


def test_nodes_in_another_order_are_the_same_network():
    first = search.parse_genome("normal: identity(0) | conv_1x1(0) | conv_1x1(1)")
    other = search.parse_genome("normal: conv_1x1(0) | identity(0) | conv_1x1(2)")
    unlike = search.parse_genome("normal: conv_1x1(0) | identity(0) | conv_1x1(1)")
    space = search.CellSpace(SMALL.operations, nodes=3, inputs=1, edges=1, reduction=False)
    assert space.canonical(first) == space.canonical(other) != space.canonical(unlike)


def test_decisions_and_genomes_are_one_to_one():
    space = search.CellSpace(("conv_1x1", "identity"), nodes=2, inputs=1, edges=1)
    decisions = list(itertools.product(*map(range, space.choices)))
    genomes = [space.decode(each) for each in decisions]
    assert [space.encode(genome) for genome in genomes] == decisions
    assert len(set(genomes)) == space.size == (2 * 4) ** 2


def test_draws_are_even():
    random = np.random.default_rng(0)
    drawn = np.array([SPACE.encode(SPACE.draw(random)) for _ in range(4000)])
    for options, column in zip(SPACE.choices, drawn.T, strict=True):
        counts = np.bincount(column, minlength=options)
        expected = 4000 / options
        # Five standard deviations of a binomial count.
        assert np.abs(counts - expected).max() <= 5 * np.sqrt(expected)


@pytest.mark.parametrize(
    ("genome", "problem"),
    [
        ("not a genome", "give a Genome"),
        (search.parse_genome("normal: identity(0)+identity(0)"), "1 nodes, not 2"),
        (search.parse_genome("normal: identity(0) | identity(0)"), "1 edges, not 2"),
        (
            search.parse_genome("normal: conv_7x7(0)+identity(0) | identity(0)+identity(0)"),
            "'conv_7x7', which is none of conv_3x3",
        ),
        (
            search.parse_genome("normal: identity(1)+identity(0) | identity(0)+identity(0)"),
            "takes the maps 1, and may take 0 to 0",
        ),
        (
            search.parse_genome(
                "normal: identity(0)+identity(0) | identity(0)+identity(0); reduction: identity(0)"
            ),
            "a reduction cell",
        ),
    ],
)
def test_genomes_of_another_space_are_refused(genome, problem):
    with pytest.raises(search.GenomeError, match=problem):
        SPACE.check(genome)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"nodes": 0}, "space.nodes: 0"),
        ({"nodes": True}, "space.nodes: True"),
        ({"inputs": 3}, "from 1 to 2"),
        ({"edges": 1.5}, "space.edges"),
        ({"operations": ()}, "give a tuple of names"),
        ({"operations": "identity"}, "give a tuple of names"),
        ({"operations": ("identity", "identity")}, "a name twice"),
    ],
)
def test_impossible_spaces_are_refused(fields, problem):
    with pytest.raises(search.SearchError, match=problem):
        search.CellSpace(**fields)


def test_unknown_operations_are_named():
    with pytest.raises(PartError, match="did you mean conv_3x3"):
        search.CellSpace(("conv3x3",))


def test_paths_lead_to_operations():
    path = "cnnjax.search.cells.operations:Conv1x1"
    assert search.CellSpace((path, "identity"), nodes=1).operations == (path, "identity")
    with pytest.raises(PartError, match=r"derived from search\.Operation"):
        search.CellSpace(("cnnjax.nn:Conv",))


def test_large_spaces_are_not_listed():
    with pytest.raises(search.SearchError, match="at most 1,000,000"):
        search.CellSpace().distinct()
