"""The examples in docstrings run, and everything public that a user starts from has one."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import flax.linen as linen
import pytest

import cnnjax
from cnnjax import nn, ops
from cnnjax.ops.arguments import table

ROOT = Path(cnnjax.__file__).parent

# Modules of cnnjax/models that define no family of networks.
HELPERS = {
    "__init__",
    "classifier",
    "create",
    "dense_evaluation",
    "features",
    "initializers",
    "registry",
    "statistics",
}


def documented(path):
    """Yields (name, docstring, line) of a file, its classes, functions and methods.

    They are read from the source: the import hook of the tests wraps functions, which
    `doctest.DocTestFinder` would then skip as imported ones.
    """
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", "module"), text, node.body[0].lineno - 1


def examples(path):
    parser = doctest.DocTestParser()
    for name, text, line in documented(path):
        found = parser.get_doctest(text, {}, name, str(path), line)
        if found.examples:
            yield found


FILES = [path for path in sorted(ROOT.rglob("*.py")) if ">>>" in path.read_text()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_return_what_they_show(path, monkeypatch):
    # An example that checks the arguments of a new op adds them to the table of all ops.
    monkeypatch.setattr(table, "ARGUMENTS", dict(table.ARGUMENTS))
    name = ".".join(("cnnjax", *path.relative_to(ROOT).with_suffix("").parts))
    module = importlib.import_module(name.removesuffix(".__init__"))
    report = []
    for found in examples(path):
        found.globs = dict(vars(module))
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        runner.run(found, out=report.append)
    assert not report, "\n".join(report)


def without_example(objects):
    """Returns the names of those whose docstring has no example."""
    return [name for name, value in objects.items() if ">>>" not in (value.__doc__ or "")]


def test_every_op_has_an_example():
    functions = {
        f"ops.{name}": getattr(ops, name)
        for name in ops.__all__
        if inspect.isfunction(getattr(ops, name))
    }
    functions |= {f"filters.{name}": getattr(ops.filters, name) for name in ops.filters.__all__}
    assert without_example(functions) == []


def test_every_layer_has_an_example():
    layers = {name: getattr(nn, name) for name in nn.__all__}
    layers = {
        name: value
        for name, value in layers.items()
        if inspect.isclass(value) and issubclass(value, linen.Module)
    }
    assert layers
    assert without_example(layers) == []


def test_every_family_of_networks_has_an_example():
    families = [path for path in sorted((ROOT / "models").glob("*.py")) if path.stem not in HELPERS]
    missing = [
        path.stem for path in families if not any(">>>" in text for _, text, _ in documented(path))
    ]
    assert families
    assert missing == []
