"""The limits that keep the code readable."""

from pathlib import Path

import pytest

from scripts.house.counts import FOLDERS, count
from scripts.house.hops import main as measure_hops
from scripts.house.programs import without_names
from scripts.house.questions import check_answers

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def counts():
    return count(ROOT)


def test_no_file_has_more_than_300_lines():
    files = [path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): path.read_bytes().count(b"\n") for path in files}
    assert {name: number for name, number in lines.items() if number > 300} == {}


def test_no_function_has_more_than_60_lines(counts):
    long = {f"{each.file}: {each.node.name}": each.lines for each in counts.definitions}
    assert {name: lines for name, lines in long.items() if lines > 60} == {}


def test_no_folder_has_more_than_24_files(counts):
    assert {name: files for name, files in counts.folders.items() if files > 24} == {}


def test_no_modules_import_each_other(counts):
    assert counts.circles == ()


def test_public_functions_are_documented(counts):
    silent = [f"{each.file}: {each.node.name}" for each in counts.public if not each.docstring]
    assert silent == []


def test_arguments_are_documented(counts):
    missing = [
        f"{each.file}: {each.node.name}"
        for each in counts.public
        if each.arguments and "Args:" not in each.docstring
    ]
    assert counts.share_with_args() >= 0.95, missing


def test_the_newcomers_questions_have_their_files():
    check_answers(ROOT)


def test_counts_of_a_small_checkout(tmp_path):
    (tmp_path / "cnnjax").mkdir()
    (tmp_path / "cnnjax/a.py").write_text(
        '"""Two\nlines."""\n\nfrom cnnjax import b\n\n\n'
        'def add(x: int, y: int) -> int:\n    """Adds.\n\n    Args:\n        x: one.\n'
        '        y: other.\n    """\n    # Why.\n    return x + y  # A sum.\n\n\n'
        "def _own(x):\n    return x\n"
    )
    (tmp_path / "cnnjax/b.py").write_text("import cnnjax.a\n\n\ndef twice(x):\n    return 2 * x\n")
    counts = count(tmp_path, ["cnnjax"])
    assert counts.files == {"cnnjax/a.py": 19, "cnnjax/b.py": 5}
    assert counts.folders == {"cnnjax": 2}
    assert [each.node.name for each in counts.public] == ["add", "twice"]
    assert (counts.comments, counts.code) == (2, 8)
    assert counts.share_documented() == counts.share_with_args() == 1 / 2
    assert counts.share_typed() == 1 / 3
    assert counts.circles == (("cnnjax.a", "cnnjax.b"),)
    assert max(each.lines for each in counts.definitions) == 9


def test_programs_are_compared_without_names_and_places():
    first = (
        'HloModule a\n\nFileNames\n1 "x.py"\n\n'
        "%f.1 (p: f32[]) -> f32[] {\n  %p.2 = f32[] parameter(0)\n"
    )
    again = first.replace("%f.1", "%g").replace("%p.2", "%q.9").replace("x.py", "y.py")
    placed = again.replace("parameter(0)", 'parameter(0), metadata={op_name="a{b}c" source_line=3}')
    assert without_names(first) == without_names(placed)
    assert without_names(first) != without_names(first.replace("parameter(0)", "parameter(1)"))


def test_hops_need_a_checkout(monkeypatch):
    monkeypatch.setattr("sys.argv", ["hops.py"])
    with pytest.raises(SystemExit, match="CHECKOUT"):
        measure_hops()
