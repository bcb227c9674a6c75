"""Packages of the extras: each import names the extra that brings it; a missing one is reported."""

import ast
import configparser
import re
import sys
from importlib import metadata

import pytest

from cnnjax import extras
from tests.helpers.processes import ROOT, run_python


def distributions(requirements: str) -> set[str]:
    """Returns the names of the packages in a list of requirements of setup.cfg."""
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    names = {line.split(">")[0].split("[")[0].lower().replace("_", "-") for line in lines if line}
    return names - {"cnnjax"}


def required() -> tuple[set[str], dict[str, set[str]]]:
    """Returns the packages of the core, and of each extra."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    listed = setup["options.extras_require"]
    core = distributions(setup["options"]["install_requires"])
    return core, {extra: distributions(listed[extra]) for extra in listed}


def imports(tree: ast.AST, extra: str | None = None):
    """Yields the roots of imported modules, and the extra that is named around each."""
    for node in ast.iter_child_nodes(tree):
        within = extra
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # read by type checkers alone
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], extra
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0], extra
        elif isinstance(node, ast.With):
            for item in node.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("installed_with"):
                    within = ast.literal_eval(call.args[0])
        yield from imports(node, within)


def test_every_import_is_of_the_core_or_of_the_extra_named_around_it():
    core, listed = required()
    origins = metadata.packages_distributions()
    for path in sorted((ROOT / "cnnjax").rglob("*.py")):
        if "configurations" in path.parts:
            continue  # imported by commands that have named the extra
        for module, extra in imports(ast.parse(path.read_text())):
            if module in sys.stdlib_module_names or module in ("cnnjax", "huggingface_hub"):
                continue
            names = {name.lower().replace("_", "-") for name in origins[module]}
            allowed = core if extra is None else listed[extra]
            assert names & allowed, f"{path}: {module} is not of {extra or 'the core'}"


def test_what_is_missing_is_named_with_the_command_that_installs_it():
    with (
        pytest.raises(
            extras.MissingPackage, match=r"needs nowhere,.*\"cnnjax\[train\]\""
        ) as raised,
        extras.installed_with("train"),
    ):
        import nowhere.at_all  # pyright: ignore[reportMissingImports] # noqa: F401
    assert raised.value.name == "nowhere"
    with pytest.raises(ImportError, match=r"needs nowhere and no_more, which are not"):
        extras.check_installed("report", "nowhere", "sys", "no_more")


def test_other_errors_pass_as_they_are():
    with (
        pytest.raises(ImportError, match="cannot import name") as raised,
        extras.installed_with("train"),
    ):
        from math import no_such_name  # pyright: ignore # noqa: F401
    assert not isinstance(raised.value, extras.MissingPackage)


CORE_ALONE = """
import sys

absent = sys.argv[1].split()

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from cnnjax import analysis, data, models, nn, ops, tasks, training
model = models.create_model("lenet5", num_classes=10)
assert "61,706 parameters" in str(analysis.summarize(model, (32, 32, 1)))
try:
    from cnnjax import recipes
except ImportError as error:
    print(error)
from cnnjax.commands.__main__ import main
main(["train", "--config=lenet5_digits"])
"""


def test_the_core_alone_imports_all_but_configurations_and_commands():
    _, listed = required()
    brought = set().union(*listed.values()) - {"flatbuffers"}
    origins = metadata.packages_distributions()
    absent = [
        module
        for module, names in origins.items()
        if {name.lower().replace("_", "-") for name in names} & brought
    ]
    assert {"cv2", "pydantic", "PIL", "sklearn", "matplotlib", "grain"} <= set(absent)
    done = run_python("-c", CORE_ALONE, " ".join(absent))
    message = 'needs pydantic, which is not installed; install with pip install "cnnjax[train]"'
    assert message in done.stdout, done.stderr
    # The command ends as after any mistake of its user.
    assert done.returncode == 2 and done.stderr.startswith("error: ") and message in done.stderr


def test_extras_have_the_names_that_packages_are_published_with():
    # With an underscore, pip 23 does not find the extra that setuptools writes with a dash.
    for extra in required()[1]:
        assert extra == re.sub(r"[-_.]+", "-", extra).lower()
