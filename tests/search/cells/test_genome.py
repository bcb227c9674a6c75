import pytest

from cnnjax import search
from cnnjax.search.cells.genome import loose_ends

TEXT = (
    "normal: conv_3x3(0)+identity(1) | max_3x3(2)+conv_1x1(0); reduction: identity(0)+identity(1)"
)


def test_text_and_genome_are_one():
    genome = search.parse_genome(TEXT)
    assert genome.normal == (
        (search.Edge(0, "conv_3x3"), search.Edge(1, "identity")),
        (search.Edge(2, "max_3x3"), search.Edge(0, "conv_1x1")),
    )
    assert genome.reduction == ((search.Edge(0, "identity"), search.Edge(1, "identity")),)
    assert str(genome) == TEXT


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("conv_3x3(0)", "another form"),
        ("normal: ", "another form"),
        (None, "another form"),
        ("normal: conv_3x3", "no edge"),
        ("normal: conv_3x3(0) | ", "no edge"),
        ("normal: conv 3x3(0)", "no edge"),
        ("normal: conv_3x3(-1)", "no edge"),
        ("normal: conv_3x3(0); reduction: x", "no edge"),
    ],
)
def test_other_texts_are_refused(text, named):
    with pytest.raises(search.GenomeError, match=named):
        search.parse_genome(text)


def test_loose_ends_are_what_no_node_takes():
    cell = search.parse_genome("normal: a(0)+a(1) | a(2)+b(0) | b(0)+b(1)").normal
    assert loose_ends(cell, 2) == [3, 4]
