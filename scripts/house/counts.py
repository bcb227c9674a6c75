"""Counts of a checkout's Python files: sizes, docstrings, types, comments, circles of imports."""

import ast
import io
import statistics
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("cnnjax", "experiments", "scripts")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """A function or method.

    Attributes:
        file: its file, relative to the checkout.
        node: its syntax tree.
        public: whether neither its name nor its class's name starts with an underscore; `__call__`
            is public.
    """

    file: str
    node: Function
    public: bool

    @property
    def lines(self) -> int:
        """Lines from `def` to the last statement, docstring included."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def arguments(self) -> list[ast.arg]:
        """What a caller passes: neither `self` nor `cls`, nor what starts with an underscore."""
        own = self.node.args
        named = [*own.posonlyargs, *own.args, *own.kwonlyargs]
        return [each for each in named if each.arg not in ("self", "cls") and each.arg[0] != "_"]

    @property
    def typed(self) -> bool:
        """Whether each argument and the returned value have a type."""
        return self.node.returns is not None and all(each.annotation for each in self.arguments)

    @property
    def docstring(self) -> str:
        """The docstring; empty where there is none."""
        return ast.get_docstring(self.node) or ""


@dataclass(frozen=True)
class Counts:
    """What was counted.

    Attributes:
        files: lines of each file, by its name relative to the checkout.
        folders: Python files of each folder.
        definitions: functions and methods; functions inside functions are part of these.
        comments: lines that hold a comment.
        code: lines that are neither empty, comment alone, nor docstring.
        circles: groups of modules that import each other, also inside functions.
    """

    files: dict[str, int]
    folders: dict[str, int]
    definitions: tuple[Definition, ...]
    comments: int
    code: int
    circles: tuple[tuple[str, ...], ...]

    @property
    def public(self) -> list[Definition]:
        """Public functions and methods."""
        return [each for each in self.definitions if each.public]

    def share_documented(self) -> float:
        """Share of public functions that have a docstring."""
        return statistics.mean(bool(each.docstring) for each in self.public)

    def share_with_args(self) -> float:
        """Share of the public functions with arguments whose docstring has an Args section."""
        return statistics.mean("Args:" in each.docstring for each in self.public if each.arguments)

    def share_typed(self) -> float:
        """Share of all functions whose arguments and result have types."""
        return statistics.mean(each.typed for each in self.definitions)


def count(checkout: Path, folders: Sequence[str] = FOLDERS) -> Counts:
    """Reads the Python files of a checkout.

    Args:
        checkout: its root.
        folders: which of its folders are counted, with all beneath them.

    Returns:
        The counts.
    """
    paths = sorted(path for folder in folders for path in (checkout / folder).rglob("*.py"))
    files, in_folder, definitions = {}, {}, []
    comments = code = 0
    imports: dict[str, set[str]] = {}
    for path in paths:
        name = path.relative_to(checkout).as_posix()
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        files[name] = text.count("\n")
        parent = path.parent.relative_to(checkout).as_posix()
        in_folder[parent] = in_folder.get(parent, 0) + 1
        definitions += [
            Definition(name, node, public) for node, public in _functions(tree.body, public=True)
        ]
        commented, written = _lines(text, tree)
        comments += commented
        code += written
        imports[_module(name)] = _imported(tree)
    return Counts(files, in_folder, tuple(definitions), comments, code, _circles(imports))


def _functions(body: Sequence[ast.stmt], *, public: bool) -> Iterator[tuple[Function, bool]]:
    for node in body:
        if isinstance(node, Function):
            # An overload only adds types to the function that follows it.
            if not any(ast.unparse(each).endswith("overload") for each in node.decorator_list):
                named = not node.name.startswith("_") or node.name == "__call__"
                yield node, public and named
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, public=public and not node.name.startswith("_"))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _functions(node.body, public=public)


def _lines(text: str, tree: ast.Module) -> tuple[int, int]:
    """Returns how many lines hold a comment, and how many hold code that is no docstring."""
    commented: set[int] = set()
    written: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            commented.add(token.start[0])
        elif token.string.strip():
            written |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            written -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(commented), len(written)


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _circles(imports: dict[str, set[str]]) -> tuple[tuple[str, ...], ...]:
    """Returns the strongly connected modules, by the modules that each one reaches."""
    # A package hands on its modules' names, so its own imports are no use of theirs.
    own = {
        name: {each for each in used & imports.keys() if not each.startswith(f"{name}.")} - {name}
        for name, used in imports.items()
    }
    reached = {name: _reached(name, own) for name in own}
    groups = {
        tuple(sorted(each for each in reached[name] if name in reached[each]))
        for name in own
        if name in reached[name]
    }
    return tuple(sorted(groups))


def _reached(name: str, imports: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for each in imports[waiting.pop()] - found:
            found.add(each)
            waiting.append(each)
    return found
