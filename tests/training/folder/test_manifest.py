"""The manifest holds whose a checkpoint is and what must be in it; anything else is damage."""

import json
import shutil

import pytest

from cnnjax.training.folder.manifest import find_damage, read_manifest, write_manifest
from tests.helpers.damages import CONTENTS
from tests.helpers.records import make_owner


@pytest.fixture
def folder(tmp_path):
    """What looks like a checkpoint of step 3."""
    made = tmp_path / "00000003"
    (made / "arrays" / "d").mkdir(parents=True)
    (made / "record.json").write_text("{}")
    (made / "arrays" / "d" / "data").write_bytes(bytes(100))
    (made / "arrays" / "index").write_bytes(bytes(10))
    write_manifest(made, make_owner(), 3)
    return made


def test_a_manifest_names_its_run_and_its_step(folder):
    manifest = read_manifest(folder)
    assert (manifest.owner, manifest.step) == (make_owner(), 3)
    assert set(manifest.files) == {"record.json", "arrays/index", "arrays/d/data"}
    assert find_damage(folder, 3) is None


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_manifest_that_holds_something_else_is_damage(folder, content):
    (folder / "manifest.json").write_bytes(content)
    assert str(find_damage(folder, 3)).startswith("its manifest cannot be read: ")


def test_every_flipped_bit_of_a_manifest_is_damage(folder):
    path = folder / "manifest.json"
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        if json_values(flipped) != json.loads(content):  # else a space became another one
            assert find_damage(folder, 3) is not None, place


def json_values(content):
    try:
        return json.loads(content)
    except ValueError:
        return None


def test_a_manifest_that_leaves_files_out_is_damage(folder):
    (folder / "record.json").rename(folder / "elsewhere")
    write_manifest(folder, make_owner(), 3)
    assert "does not name the files of a checkpoint" in str(find_damage(folder, 3))
    (folder / "elsewhere").rename(folder / "record.json")
    shutil.move(folder / "arrays", folder.parent)
    write_manifest(folder, make_owner(), 3)
    assert "does not name the files of a checkpoint" in str(find_damage(folder, 3))


def test_an_array_that_the_manifest_does_not_name_is_damage(folder):
    (folder / "notes.txt").write_text("mine")
    (folder / "arrays" / ".nfs0001").write_text("a file system's")
    assert find_damage(folder, 3) is None
    (folder / "arrays" / "other").write_text("x")
    assert find_damage(folder, 3) == "arrays/other is not named in its manifest"


def test_another_step_under_its_name_is_damage(folder):
    assert find_damage(folder, 9) == "it is the checkpoint of step 3 under another name"
