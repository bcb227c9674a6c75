"""Text of --help in two columns, at most `WIDTH` wide."""

import inspect
import textwrap

WIDTH = 100


def entry(name: str, text: str, column: int, indent: int = 2) -> str:
    """Returns a name with its description beside it, or below it where the name is too long.

    Args:
        name: text of the first column.
        text: text of the second one, which is wrapped.
        column: where the second column starts, in characters.
        indent: where the first column starts.
    """
    # Long words are paths and flags, which a reader copies whole.
    lines = textwrap.wrap(text, WIDTH - column, break_long_words=False, break_on_hyphens=False)
    margin = " " * column
    head = " " * indent + name
    # At least two spaces separate the columns.
    if lines and len(head) <= column - 2:
        head += margin[len(head) :] + lines.pop(0)
    return "\n".join([head, *(margin + line for line in lines)])


def prose(docstring: str, indent: int) -> str:
    """Returns the paragraphs of a docstring, each wrapped anew.

    Args:
        docstring: as the source has it.
        indent: spaces before every line.
    """
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    margin = " " * indent
    return "\n".join(
        textwrap.fill(
            " ".join(paragraph.split()),
            WIDTH,
            initial_indent=margin,
            subsequent_indent=margin,
            break_on_hyphens=False,
            break_long_words=False,
        )
        for paragraph in paragraphs
        if paragraph.strip()
    )
