"""The Python code of the pages under docs/ runs, from the first block of a page to its last."""

import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from PIL import Image

from cnnjax import models, parts
from tests.helpers.registries import keep_as_it_is

DOCS = Path(__file__).parents[1] / "docs"

PAGES = (
    "../README.md",
    pytest.param("analysis.md", marks=pytest.mark.slow),
    pytest.param("another_library.md", marks=pytest.mark.slow),
    "augmentation.md",
    "building_blocks.md",
    pytest.param("choices.md", marks=pytest.mark.slow),
    "comparing.md",
    "compiler.md",
    "data.md",
    "dense_networks.md",
    pytest.param("detection.md", marks=pytest.mark.slow),
    "diagrams.md",
    pytest.param("domains.md", marks=pytest.mark.slow),
    pytest.param("ensembles.md", marks=pytest.mark.slow),
    pytest.param("evolution.md", marks=pytest.mark.slow),
    "families.md",
    pytest.param("few_labels.md", marks=pytest.mark.slow),
    "finetuning.md",
    "lectures.md",
    "parts.md",
    pytest.param("pruning.md", marks=pytest.mark.slow),
    "segmentation.md",
    "search.md",
    pytest.param("speed.md", marks=pytest.mark.slow),
    "studies.md",
    "trackers.md",
    "training.md",
    "transfer.md",
    "your_own.md",
)
"""Pages whose ```python blocks run in order, in one namespace for each page."""

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"print\(.*\)  # (\([^)]*\)|[\d.]+)")
"""A line whose comment shows what it prints: a tuple or a number, and maybe words after it."""

MOST_LINES = 15
"""Of a block of docs/your_own.md that brings one part."""


def blocks_of(text):
    """Yields the code of each block, moved to its own lines so that errors point into the page."""
    for block in BLOCK.finditer(text):
        yield "\n" * text[: block.start(1)].count("\n") + block[1]


def test_code_keeps_the_lines_of_its_page():
    text = "# Title\n\n```python\na = 1\n```\n\n```sh\nls\n```\n\n```python\nb = a\n\nc = b\n```\n"
    assert list(blocks_of(text)) == ["\n" * 3 + "a = 1\n", "\n" * 11 + "b = a\n\nc = b\n"]


@pytest.fixture
def own_registries(monkeypatch):
    """What a page registers is forgotten after it."""
    for registry in parts._registries.values():
        keep_as_it_is(registry, monkeypatch)


def write_files_of_analysis(folder):
    """Writes the weights and the photograph that docs/analysis.md reads."""
    model = models.create_model("squeezenet1_1")
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    models.save_pretrained(variables, folder / "squeezenet1_1.safetensors")
    Image.effect_noise((300, 240), 80).convert("RGB").save(folder / "photo.jpg")


@pytest.mark.usefixtures("own_registries")
@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs_and_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if page == "another_library.md":
        for library in ("haiku", "equinox"):
            pytest.importorskip(library, reason='pip install "cnnjax[drop-in]" brings it')
    if page == "analysis.md":
        write_files_of_analysis(tmp_path)
    path = DOCS / page
    text = path.read_text()
    printed = {}

    def note(*values):
        printed[sys._getframe(1).f_lineno] = " ".join(map(str, values))

    namespace = {"__name__": "page", "print": note}
    blocks = list(blocks_of(text))
    assert blocks
    # As a reader runs it.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for block in blocks:
            exec(compile(block, path, "exec"), namespace)
    for number, line in enumerate(text.splitlines(), 1):
        expected = PRINTED.search(line)
        assert expected is None or printed[number].startswith(expected[1]), (number, line)


def test_each_case_of_ones_own_is_short():
    text = (DOCS / "your_own.md").read_text()
    cases = text.split("\n## ")[1:]
    assert len(cases) == 10
    for case in cases[:8]:
        code = [line for block in BLOCK.findall(case) for line in block.splitlines()]
        assert len([line for line in code if line.strip()]) < MOST_LINES, case.partition("\n")[0]
