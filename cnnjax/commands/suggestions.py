"""What could have been meant by a flag that does not exist."""

import itertools
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

from absl import flags

from cnnjax import recipes
from cnnjax.nearest import nearest_names

PREFIX = "config."


def own_flags() -> dict[str, list[flags.Flag]]:
    """Returns the flags of cnnjax and of the program by module; not those of other libraries."""
    return {
        module: [flag for flag in defined if not flag.name.startswith(PREFIX)]
        for module, defined in flags.FLAGS.flags_by_module_dict().items()
        if module.split(".")[0] in ("cnnjax", "experiments") or module == sys.argv[0]
    }


def error_of_file(error: BaseException, arguments: Sequence[str]) -> str | None:
    """Returns the message for an error in the configuration file; None if it lies elsewhere.

    Args:
        error: what was raised while the flags were parsed.
        arguments: the command line, whose --config names a file that exists.
    """
    values = [a.partition("=")[2] for a in arguments if re.match(r"--?config=", a)]
    values += [b for a, b in itertools.pairwise(arguments) if a in ("--config", "-config")]
    for file in (value.partition(":")[0] for value in values):
        if "has no attribute 'get_config'" in str(error):
            return f"--config: {file} has no function get_config; its get_config() returns the run"
        cause: BaseException | None = error
        # absl and ml_collections raise errors of their own for some.
        while cause is not None:
            frames = traceback.extract_tb(cause.__traceback__)
            lines = [frame.lineno for frame in frames if Path(frame.filename) == Path(file)]
            if lines:
                return f"--config: {file}, line {lines[-1]}: {_in_words(cause)}"
            cause = cause.__context__
    return None


def _in_words(error: BaseException) -> str:
    """Returns an error's message; of ml_collections' long one for an unknown key, a short one."""
    key = re.search(r'Key "(\w+)" does not exist', str(error))
    if key:
        meant = suggest(key[1], [], recipes.known_keys())
        hint = f"did you mean {' or '.join(name.removeprefix('--') for name in meant)}?"
        return f"the key {key[1]!r} is unknown; {hint if meant else recipes.nearest_key(key[1])}"
    return f"{type(error).__name__}: {error}"


def unknown_key(arguments: Sequence[str]) -> str | None:
    """Returns the message for a command line that sets a key which does not exist, else None.

    Args:
        arguments: the program's name and all that follows it.
    """
    known = recipes.known_keys()
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        key = name.removeprefix(PREFIX)
        if name != key and not any(k == key or k.startswith(f"{key}.") for k in known):
            return unknown_flag(name)
    return None


def unknown_flag(name: str) -> str:
    """Returns the message for a flag that does not exist, with what could have been meant.

    Args:
        name: what was given, without dashes.
    """
    if name.startswith(PREFIX):
        return f"--{name} is unknown; {recipes.nearest_key(name.removeprefix(PREFIX))}"
    keys = recipes.known_keys() if "config" in flags.FLAGS else []
    names = [flag.name for defined in own_flags().values() for flag in defined]
    candidates = suggest(name, names, keys) or suggest(name, flags.FLAGS, [])
    if candidates:
        return f"--{name} is unknown; did you mean {' or '.join(candidates)}?"
    return f"--{name} is unknown; --help lists all flags"


def suggest(name: str, names: Iterable[str], keys: Iterable[str]) -> list[str]:
    """Returns the flags that could have been meant by another one.

    Args:
        name: what was given, without dashes.
        names: the known flags.
        keys: dotted keys of the configuration; each is a flag too.

    Returns:
        The keys that end in what was given; if none does, the flags of the nearest spelling.
    """
    spellings: dict[str, list[str]] = {flag: [f"--{flag}"] for flag in names}
    for key in keys:
        for spelling in (key, key.rpartition(".")[2]):
            if f"--{PREFIX}{key}" not in spellings.setdefault(spelling, []):
                spellings[spelling].append(f"--{PREFIX}{key}")
    # Many programs spell flags with dashes.
    given = name.replace("-", "_")
    ends = [f"--{PREFIX}{key}" for key in keys if f".{key}".endswith(f".{given}")]
    if ends or given in spellings:
        return ends or spellings[given]
    # Stricter than elsewhere: many flags have words in common.
    nearest = nearest_names(given, spellings, count=1, likeness=0.65)
    return spellings[nearest[0]] if nearest else []
