"""The direction of imports: each package knows only those beneath it."""

import ast
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT, run_python

LINES = (
    ("compiler", "digests", "extras", "nearest", "patterns", "pixel_statistics", "writing"),
    ("importing",),
    ("parts", "ops"),
    ("nn",),
    ("models",),
    ("data", "analysis"),
    ("tasks",),
    ("training",),
    ("recipes",),
    ("inference",),
    ("transfer", "compression"),
    ("studies",),
    ("search",),
    ("reports",),
    ("commands", "configurations"),
)
"""The packages from the bottom up; those on one line do not import each other."""

HEIGHT = {name: height for height, line in enumerate(LINES) for name in line}


def imported_modules(path: Path) -> set[str]:
    """Returns the dotted names of everything that a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            # `from cnnjax import data` names a package too.
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(module: str) -> str | None:
    """Returns the package of cnnjax that a dotted name lies in."""
    parts = module.split(".")
    return parts[1] if parts[0] == "cnnjax" and len(parts) > 1 else None


def files_of(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_every_package_has_its_line():
    packages = {path.parent.name for path in (ROOT / "cnnjax").glob("*/__init__.py")}
    leaves = {path.stem for path in (ROOT / "cnnjax").glob("*.py")} - {"__init__", "__main__"}
    assert packages | leaves <= HEIGHT.keys()


@pytest.mark.parametrize("path", files_of("cnnjax"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    parts = path.relative_to(ROOT / "cnnjax").with_suffix("").parts
    if parts in (("__init__",), ("__main__",)):
        return
    own = parts[0]
    for module in imported_modules(path):
        assert module.split(".")[0] not in {"experiments", "scripts", "tests"}, module
        other = layer(module)
        if other is None or other == own or other.startswith("__"):
            continue
        assert HEIGHT[other] < HEIGHT[own], f"{own} imports {module}"


def test_ops_need_jax_numpy_and_jaxtyping_alone():
    allowed = {"jax", "numpy", "jaxtyping", "cnnjax"} | set(sys.stdlib_module_names)
    for path in files_of("cnnjax/ops"):
        roots = {module.split(".")[0] for module in imported_modules(path)}
        assert roots <= allowed, f"{path}: {roots - allowed}"


def test_heavy_packages_are_imported_where_they_are_used():
    program = (
        "import sys, cnnjax; "
        "print([name for name in ('tensorflow_datasets', 'sklearn', 'matplotlib', 'safetensors', "
        "'huggingface_hub', 'tensorflow', 'torch', 'orbax') if name in sys.modules])"
    )
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr
    # flax itself imports orbax.
    assert done.stdout.strip() in ("[]", "['orbax']")
