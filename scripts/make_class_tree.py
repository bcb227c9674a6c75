"""Write the tree of ImageNet's 1,000 classes and their ancestors in WordNet 3.0.

python -m scripts.make_class_tree /usr/share/wordnet/data.noun

`data.noun` is WordNet's file of nouns (Debian's package wordnet-base; https://wordnet.princeton.edu).
The classes, in label order, are the identifiers that the package tensorflow-datasets lists. The
parents of a synset are its hypernyms and instance hypernyms (the pointers `@` and `@i`, see
wndb(5WN)); a synset may have several.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cnnjax.data.classes import imagenet_synsets
from cnnjax.writing import write_text

_OUTPUT = Path(__file__).parents[1] / "cnnjax" / "data" / "class_names" / "imagenet_tree.txt"

_HEAD = """\
# ImageNet's 1,000 classes in label order, then their ancestors in WordNet 3.0: a synset a line,
# with its parents after it. scripts/make_class_tree.py made it from WordNet, whose license follows.
#
"""


def license_lines(lines: Iterable[str]) -> list[str]:
    """Returns the license at the head of WordNet's files, without the lines' numbers.

    Args:
        lines: of the file; those of its license start with two spaces and a number.
    """
    head = (line for line in lines if line.startswith("  "))
    return [line.strip().partition(" ")[2].strip() for line in head]


def read_hypernyms(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns the parents of each synset of WordNet's `data.noun`, by its ImageNet identifier.

    Args:
        lines: of the file; those of its license start with two spaces.
    """
    parents = {}
    for line in lines:
        if line.startswith("  "):
            continue
        # Offset, file, type, number of words in hexadecimal, the words with an id each, the number
        # of pointers, and four fields a pointer: its symbol, an offset, a part of speech, words.
        fields = line.partition("|")[0].split()
        first = 4 + 2 * int(fields[3], 16)
        pointers = fields[first + 1 : first + 1 + 4 * int(fields[first])]
        parents[f"n{fields[0]}"] = tuple(
            f"n{offset}"
            for symbol, offset in zip(pointers[::4], pointers[1::4], strict=True)
            if symbol in ("@", "@i")
        )
    return parents


def tree_lines(
    classes: Sequence[str], parents: Mapping[str, Sequence[str]]
) -> list[tuple[str, ...]]:
    """Returns the classes and their ancestors, each with its parents.

    Args:
        classes: identifiers, which come first and keep their order.
        parents: of every synset.

    Raises:
        SystemExit: a class is no synset.
    """
    missing = [name for name in classes if name not in parents]
    if missing:
        raise SystemExit(f"{', '.join(missing[:5])}: no such nouns; give WordNet 3.0's data.noun")
    found = dict.fromkeys(classes)
    # The list grows while it is read: the ancestors come level by level.
    order = list(found)
    for name in order:
        for parent in parents[name]:
            if parent not in found:
                found[parent] = None
                order.append(parent)
    return [(name, *parents[name]) for name in order]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the file.

    Args:
        arguments: of the command line; None for those of this process.
    """
    parser = argparse.ArgumentParser(description="Writes the tree of ImageNet's classes.")
    parser.add_argument("wordnet", type=Path, help="WordNet's data.noun")
    parser.add_argument("--output", type=Path, default=_OUTPUT, help="the file to write")
    options = parser.parse_args(arguments)
    wordnet = options.wordnet.read_text(encoding="utf-8").splitlines()
    lines = tree_lines(imagenet_synsets(), read_hypernyms(wordnet))
    head = _HEAD + "".join(f"# {line}".rstrip() + "\n" for line in license_lines(wordnet))
    write_text(options.output, head + "".join("\t".join(line) + "\n" for line in lines))
    print(f"{options.output}: {len(lines)} synsets")


if __name__ == "__main__":
    main()
