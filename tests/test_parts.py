"""Parts by name and by path: finding, refusing, recording, restoring in another process."""

import json
import sys
from pathlib import Path

import pytest

from cnnjax import parts
from cnnjax.parts import PartError, Registry
from tests.helpers.processes import ROOT, run_python


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(parts, "_registries", {})
    registry = Registry("rule", example="my_package.rules:my_rule")
    registry.add("sgd", 1)
    registry.add("adam", 2)
    return registry


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, which is not on the search path, as for a console script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(ROOT))])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def execute(file: Path, **names):
    """Executes a file as ml_collections executes configurations: under a name of its own."""
    globals_ = {"__name__": "0f3a_config", "__file__": str(file), **names}
    exec(compile(file.read_text(), str(file), "exec"), globals_)


def test_names_are_found_and_listed_in_order(registry):
    assert registry.get("sgd") == 1
    assert registry.names() == list(registry) == ["adam", "sgd"]
    assert "adam" in registry and "lion" not in registry and len(registry) == 2


def test_the_decorator_returns_what_it_enters(registry):
    @registry.register("lion")
    def lion():
        return 3

    assert registry.get("lion") is lion
    assert lion() == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adan", "unknown rule 'adan'; did you mean adam.*known: adam, sgd.*my_package.rules:my"),
        ("x", r"unknown rule 'x'; known: adam, sgd"),
        ("nets.py:Rule:x", r"no path; one has the form package.module:Name, such as my_package"),
        ("a/nets.py:Rule", r"no path; one has the form"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(registry, name, message):
    with pytest.raises(PartError, match=message):
        registry.get(name)


@pytest.mark.parametrize("name", ["", "a:b", None])
def test_names_that_cannot_be_are_refused(registry, name):
    with pytest.raises(PartError, match="can't be a name"):
        registry.add(name, 3)


def test_a_second_registry_of_a_kind_is_refused(registry):
    with pytest.raises(PartError, match="there is one of the kind 'rule'"):
        Registry("rule")


def test_a_file_may_register_its_names_again_and_others_may_not(registry, tmp_path):
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("registry.add('mine', object())")
    second.write_text("registry.add('mine', object())")
    execute(first, registry=registry)
    before = registry.get("mine")
    execute(first, registry=registry)
    assert registry.get("mine") is not before
    with pytest.raises(PartError, match=r"'mine' is taken by .*first\.py; choose another, or pass"):
        execute(second, registry=registry)
    second.write_text("registry.add('mine', 5, replace=True)")
    execute(second, registry=registry)
    assert registry.get("mine") == 5
    assert registry.record("mine")["file"] == str(second)


def test_names_of_cnnjax_are_taken(registry):
    registry._places["sgd"] = None
    with pytest.raises(PartError, match="'sgd' is taken by cnnjax"):
        registry.add("sgd", 3)
    assert registry.record("sgd") == {}


def test_a_path_is_imported_from_the_current_folder(registry, here):
    (here / "my_package").mkdir()
    (here / "my_package" / "rules.py").write_text("class Rules:\n    mine = 7\n")
    assert registry.get("my_package.rules:Rules.mine") == 7
    record = registry.record("my_package.rules:Rules.mine")
    assert record == {
        "kind": "rule",
        "name": "my_package.rules:Rules.mine",
        "module": "my_package.rules",
        "file": str(here / "my_package" / "rules.py"),
    }
    assert registry.record("cnnjax.parts:Registry") == {}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such.rules:x", "rule 'no_such.rules:x': there is no module no_such; .*on PYTHONPATH"),
        ("good.no_such:x", r"no module good\.no_such"),
        (
            "needs:x",
            r"failed with ModuleNotFoundError: .*absent.*needs\.py, line 2",
        ),
        ("broken:x", r"importing broken failed with ZeroDivisionError.*broken\.py, line 1"),
        ("untidy:x", r"importing untidy failed with SyntaxError.*untidy\.py, line 1"),
        ("leaves:x", "importing leaves failed with SystemExit: 3"),
        (
            "good:my_rul",
            r"has no 'my_rul'; did you mean my_rule\? it was read from .*good\.py",
        ),
        ("good:my_rule.deeper", r"good\.my_rule has no 'deeper'"),
    ],
)
def test_what_cannot_be_imported_names_the_cause(registry, here, path, message):
    (here / "needs.py").write_text("\nimport absent.module\n")
    (here / "broken.py").write_text("1 / 0\n")
    (here / "untidy.py").write_text("def (\n")
    (here / "leaves.py").write_text("raise SystemExit(3)\n")
    (here / "good.py").write_text("def my_rule(): ...\n")
    with pytest.raises(PartError, match=message):
        registry.get(path)


SETUP = "from cnnjax import parts; registry = parts.Registry('rule'); import json, sys; "
RESTORE = SETUP + "parts.restore(json.loads(sys.stdin.read())); print(registry.get({name!r}))"
REGISTERS = "from cnnjax import parts\nparts._registries['rule'].add('mine', 'found')\n"


def restored(record: dict, cwd: Path) -> str:
    """Returns what another process prints: the part, or the error's message."""
    program = RESTORE.format(name=record["name"])
    done = run_python("-c", program, cwd=cwd, text=json.dumps([{}, record]))
    return done.stdout or done.stderr


@pytest.fixture
def elsewhere(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere")


@pytest.mark.process
def test_a_configuration_files_part_is_restored_by_executing_the_file(registry, here, elsewhere):
    file = here / "my config.py"
    file.write_text(REGISTERS)
    execute(file)
    record = registry.record("mine")
    assert record["file"] == str(file)
    assert restored(record, elsewhere) == "found\n"
    file.rename(here / "moved.py")
    message = restored(record, elsewhere)
    assert "rule 'mine' is gone: there is no module 0f3a_config, and no file" in message
    assert "bring the file back, or put the folder that holds the module on PYTHONPATH" in message
    file.write_text("def get_config(): ...")
    assert "'mine' isn't in " in restored(record, elsewhere)
    file.write_text("1 / 0")
    assert "failed with ZeroDivisionError" in restored(record, elsewhere)


@pytest.mark.process
def test_a_packages_parts_are_restored_from_the_folder_that_it_was_in(registry, here, elsewhere):
    package = here / "my_package"
    package.mkdir()
    (package / "base.py").write_text("VALUE = 'found'\n")
    (package / "rules.py").write_text(
        "from my_package.base import VALUE\nfrom cnnjax import parts\n"
        "parts._registries['rule'].add('mine', VALUE)\n"
    )
    registry.get("my_package.rules:VALUE")
    for name in ("mine", "my_package.rules:VALUE"):
        record = registry.record(name)
        assert record["module"] == "my_package.rules"
        assert restored(record, elsewhere) == "found\n"


def test_known_parts_are_left_alone_and_a_scripts_are_not_restored(registry):
    script = {"kind": "rule", "name": "sgd", "module": "__main__", "file": None}
    parts.restore([script, {}])
    assert registry.get("sgd") == 1
    with pytest.raises(PartError, match=r"__main__.*fit again.*inference\.load\(folder, run=run\)"):
        parts.restore([{**script, "name": "mine"}])


def test_what_a_script_registers_is_recorded_as_such(registry):
    exec("registry.add('mine', 1); registry.add('mine', 2)", {"__name__": "__main__", **locals()})
    assert registry.get("mine") == 2
    expected = {"kind": "rule", "name": "mine", "module": "__main__", "file": None}
    assert registry.record("mine") == expected
