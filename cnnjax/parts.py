"""Parts by name or by path: networks, optimizers, schedules, tasks, ... of cnnjax and of one's own.

A part is found by the name that it was registered under, or by its path, "package.module:Name".
Where parts of one's own were registered is recorded, so that another process can `restore` them.
"""

import dataclasses
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar

from cnnjax import importing
from cnnjax.importing import PartError
from cnnjax.nearest import did_you_mean

Part = TypeVar("Part")
_OWN = __name__.partition(".")[0]
# Wraps functions in frames of its own where its import hook checks their shapes.
_WRAPPER = "jaxtyping"
# Dotted names on both sides of one colon.
_PATH = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*(?:\.[^\W\d]\w*)*)")


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a part of the user's was registered; no file for what was typed in a session."""

    module: str
    file: str | None

    def same(self, other: "_Place | None") -> bool:
        if other is None:
            return False
        return self.file == other.file if self.file else self == other


class Registry(Generic[Part]):
    """The named parts of one kind; `in`, iteration and `names` know registered names alone.

    Args:
        kind: what the parts are, in messages and records, such as "optimizer".
        example: a path such as a user may give, for messages.

    Raises:
        PartError: there is a registry of this kind already.
    """

    def __init__(self, kind: str, example: str = "my_package.my_module:my_part"):
        if kind in _registries:
            raise PartError(f"Registry: there is one of the kind {kind!r}; give another kind")
        self.kind = kind
        self.example = example
        self._parts: dict[str, Part] = {}
        self._places: dict[str, _Place | None] = {}
        _registries[kind] = self

    def add(self, name: str, part: Part, *, replace: bool = False) -> None:
        """Enters a part under a name.

        A file that is executed again may register its names again.

        Args:
            name: any text without ":", which paths have.
            part: what `get` returns.
            replace: whether the part takes the place of another one of that name.

        Raises:
            PartError: the name is taken, or can't be one.
        """
        if not isinstance(name, str) or not name or ":" in name:
            raise PartError(
                f"{self.kind}: {name!r} can't be a name; give a text without ':', such as 'mine'"
            )
        place = _calling_place()
        known = self._places.get(name)
        again = place is not None and place.same(known)
        if name in self._parts and not (replace or again):
            owner = f"{known.file or known.module}" if known else _OWN
            raise PartError(
                f"{self.kind}: the name {name!r} is taken by {owner}; choose another, or pass "
                "replace=True"
            )
        self._parts[name] = part
        self._places[name] = place

    def register(self, name: str, *, replace: bool = False) -> Callable[[Any], Any]:
        """Returns the decorator that enters what it decorates under a name.

        Args:
            name: see `add`.
            replace: see `add`.
        """

        def enter(part: Any) -> Any:
            self.add(name, part, replace=replace)
            return part

        return enter

    def get(self, name: str) -> Part:
        """Returns the part of a name, or imports it from a path such as "package.module:Name".

        The current folder is searched too, as it is by `python -m`.

        Args:
            name: a registered name, or a path.

        Raises:
            PartError: no part has that name (the message gives the nearest), or nothing is found
                at that path (the message names what is missing and how to fix it).
        """
        if name in self._parts:
            return self._parts[name]
        if is_path(name):
            return importing.import_part(f"{self.kind} {name!r}", name)
        if ":" in name:
            raise PartError(
                f"{self.kind}: {name!r} is no path; one has the form package.module:Name, such as "
                f"{self.example}"
            )
        raise self.unknown(name, self._parts, f"known: {', '.join(self) or 'none'}")

    def check(self, name: str) -> None:
        """Refuses what is neither a registered name nor a path; a path isn't imported yet.

        Args:
            name: what was given.

        Raises:
            PartError: see `get`.
        """
        if not is_path(name):
            self.get(name)

    def unknown(self, name: str, known: Iterable[str], listing: str) -> PartError:
        """Returns the error for a name that is none of those known.

        Args:
            name: what was given.
            known: what could have been meant.
            listing: the known names as text, for the message.
        """
        return PartError(
            f"unknown {self.kind} {name!r}; {did_you_mean(name, known)}{listing}; one of your own "
            f"is registered, or given by its path, such as {self.example}"
        )

    def names(self) -> list[str]:
        """Returns the registered names, sorted."""
        return sorted(self._parts)

    def record(self, name: str) -> dict[str, Any]:
        """Returns where a part of the user's lives, for `restore`; {} for cnnjax's own.

        Args:
            name: a registered name, or a path.

        Returns:
            JSON: the registry's kind, the name, and the module and file that registered it (of a
            path: that hold it); the file is None for what was typed in a session.

        Raises:
            PartError: see `get`.
        """
        self.get(name)
        if name in self._parts:
            place = self._places[name]
        else:
            place = _place_of_module(name.partition(":")[0])
        if place is None:
            return {}
        return {"kind": self.kind, "name": name, **dataclasses.asdict(place)}

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._parts)


_registries: dict[str, Registry] = {}


def is_path(name: str) -> bool:
    """Returns whether a name has the form of a path, "package.module:Name".

    Args:
        name: what was given.
    """
    return _PATH.fullmatch(name) is not None


def restore(records: Iterable[Mapping[str, Any]]) -> None:
    """Makes the user's parts available that another process recorded.

    A part that is known is left alone. Otherwise its module is imported, from the folder that it
    was in if it is nowhere else; where that isn't possible or doesn't register the part, its file
    is executed.

    Args:
        records: as `Registry.record` returns them; empty ones are skipped.

    Raises:
        PartError: a part is gone; the message names what was looked for and how to fix it.
    """
    for record in records:
        if record and not _is_known(record):
            _restore(record)


def _restore(record: Mapping[str, Any]) -> None:
    kind, name, module, file = (record[key] for key in ("kind", "name", "module", "file"))
    what = f"{kind} {name!r}"
    if module == "__main__":
        raise PartError(
            f"{what} was made in a script or notebook (__main__), which can't be imported: call "
            "fit again there, or inference.load(folder, run=run); or move it into a module"
        )
    if file:
        importing.append_root(module, file)
    importing.search_here()
    if importing.is_importable(module):
        importing.import_module(what, module)
        if _is_known(record):
            return
    there = bool(file) and Path(file).is_file()
    if there and not is_path(name):
        importing.execute_file(what, module, file)
        if _is_known(record):
            return
    if there or importing.is_importable(module):
        raise PartError(
            f"{what} isn't in {file if there else module} any more, or is registered inside a "
            "function that importing doesn't call; bring it back, at the top level of the file"
        )
    raise PartError(
        f"{what} is gone: there is no module {module}, and no file {file}; bring the file back, or "
        "put the folder that holds the module on PYTHONPATH"
    )


def _is_known(record: Mapping[str, Any]) -> bool:
    name, registry = record["name"], _registries.get(record["kind"])
    if registry is not None and name in registry:
        return True
    if not is_path(name):
        return False
    # Without importing: `restore` is to report a module that fails.
    module, _, attributes = name.partition(":")
    part = sys.modules.get(module)
    for attribute in attributes.split("."):
        part = getattr(part, attribute, None)
    return part is not None


def _calling_place() -> _Place | None:
    """Returns where the code is that calls this package; None if it is the package itself.

    The call stack is read, since configuration files are executed under module names of their own.
    """
    # `inspect.stack` would read the source of every frame.
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        own = module.partition(".")[0] in (_OWN, _WRAPPER)
        # A module of the package that is being imported registers a part of its own.
        if own and frame.f_code.co_name == "<module>":
            return None
        if not own:
            file = frame.f_globals.get("__file__") or frame.f_code.co_filename
            file = os.path.abspath(file)
            return _Place(module, file if os.path.isfile(file) else None)
        frame = frame.f_back
    return None


def _place_of_module(name: str) -> _Place | None:
    if name.partition(".")[0] == _OWN:
        return None
    file = getattr(sys.modules[name], "__file__", None)
    return _Place(name, os.path.abspath(file) if file else None)
