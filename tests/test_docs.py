"""The Python code of the pages under docs/ runs, from the first block of a page to its last."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"

PAGES = ("augmentation.md",)
"""Pages whose ```python blocks run in order, in one namespace for each page."""

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of(text):
    """Yields the code of each block, moved to its own lines so that errors point into the page."""
    for block in BLOCK.finditer(text):
        yield "\n" * text[: block.start(1)].count("\n") + block[1]


def test_code_keeps_the_lines_of_its_page():
    text = "# Title\n\n```python\na = 1\n```\n\n```sh\nls\n```\n\n```python\nb = a\n\nc = b\n```\n"
    assert list(blocks_of(text)) == ["\n" * 3 + "a = 1\n", "\n" * 11 + "b = a\n\nc = b\n"]


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = DOCS / page
    blocks = list(blocks_of(path.read_text()))
    assert blocks
    namespace = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, path, "exec"), namespace)
