"""--help of a command: its flags in groups, the configuration's keys, its exit codes."""

import inspect
import re
import sys
from types import ModuleType
from typing import Any

from absl import flags

from cnnjax import recipes
from cnnjax.commands.exit_codes import MEANINGS
from cnnjax.commands.help.columns import entry
from cnnjax.commands.help.program_name import program_name
from cnnjax.commands.help.schema_help import schema_help
from cnnjax.commands.suggestions import own_flags

FIRST, LAST = "The run", "Other"
GROUPS = (FIRST, "Networks and views", "Data", "Devices and processes", "Logging and checkpoints")
"""Headings in their order; a module's `GROUP` is the heading of its flags."""

COLUMN = 30
"""Where the second column starts, in characters."""


def command_help(description: str) -> str:
    """Returns the text of --help.

    Args:
        description: what the command does.
    """
    parts = [f"usage: {program_name()} [FLAGS]", inspect.cleandoc(description)]
    for heading, defined in _grouped().items():
        lines = [_flag_entry(flag) for flag in sorted(defined, key=_order)]
        parts.append("\n".join([f"{heading}:", *lines]))
    if "config" in flags.FLAGS:
        parts.append(schema_help(recipes.parse_config({})))
    parts.append(exit_codes_help())
    parts.append("Flags of jax, absl and TFDS: --helpfull.")
    return "\n\n".join(parts)


def exit_codes_help() -> str:
    """Returns what each exit code means."""
    lines = [entry(str(code), text, 7) for code, text in MEANINGS.items()]
    return "\n".join(["Exit codes:", *lines])


def _grouped() -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {heading: [] for heading in GROUPS}
    for module, defined in own_flags().items():
        heading = getattr(_module(module), "GROUP", FIRST)
        groups.setdefault(heading, []).extend(defined)
    # To the end, whatever the order in which the modules were imported.
    groups[LAST] = groups.pop(LAST, [])
    return {heading: defined for heading, defined in groups.items() if defined}


def _module(name: str) -> ModuleType | None:
    # absl names the main module by the file that it was started from.
    return sys.modules.get("__main__" if name == sys.argv[0] else name)


def _order(flag: flags.Flag) -> tuple[bool, bool, str]:
    """The configuration first, then what is required."""
    return flag.name != "config", not _is_required(flag), flag.name


def _is_required(flag: flags.Flag) -> bool:
    # absl keeps no other trace of `required=True`.
    required = "must have a value other than None"
    return flag.name == "config" or any(required in check.message for check in flag.validators)


def _flag_entry(flag: flags.Flag) -> str:
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}={_value_name(flag)}"
    # The value's kind and "repeat", which absl adds, are shown in the first column already.
    text = re.sub(r"^<[^>]*>: |;\s+repeat this option.*", "", flag.help or "", flags=re.DOTALL)
    if text.startswith("Alias for "):
        return entry(name, f"The same as {text.removeprefix('Alias for ')}", COLUMN)
    return entry(name, f"{text} {_limits_and_default(flag)}", COLUMN)


def _value_name(flag: Any) -> str:
    values = getattr(flag.parser, "enum_values", None)
    if values:
        return "|".join(values)
    kind = flag.parser.flag_type()
    if "list" in kind:
        return "LIST"
    return {"int": "INTEGER", "float": "NUMBER", "config object": "FILE"}.get(kind, "TEXT")


def _limits_and_default(flag: Any) -> str:
    bounds = {"lower_bound": "at least", "upper_bound": "at most"}
    limits = {text: getattr(flag.parser, bound, None) for bound, text in bounds.items()}
    texts = [f"{text} {limit}" for text, limit in limits.items() if limit is not None]
    if _is_required(flag):
        texts.append("required")
    elif flag.default is None or flag.default == []:
        texts.append("default: none")
    elif flag.boolean:
        texts.append(f"default: {str(flag.default).lower()}")
    else:
        texts.append(f"default: {flag.default}")
    return f"[{'; '.join(texts)}]"
