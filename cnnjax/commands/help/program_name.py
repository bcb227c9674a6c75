"""How a command was started, for its help."""

import sys


def program_name() -> str:
    """Returns how the program was started, as a user types it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or sys.argv[0].startswith("cnnjax "):
        return sys.argv[0].rpartition("/")[2]
    return f"python -m {spec.name.removesuffix('.__main__')}"
