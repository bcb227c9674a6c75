"""The study files that --study names: by path, or by name, the user's and cnnjax's own."""

from pathlib import Path

from cnnjax import training
from cnnjax.commands.find_configuration import READY as CONFIGURATIONS
from cnnjax.commands.named_files import named_files
from cnnjax.nearest import nearest_names

FOLDER = Path("experiments", "studies")
"""Where a project has its own studies. In cnnjax's clone it is a link to `READY`."""

READY = CONFIGURATIONS / "studies"
"""The studies that come with cnnjax."""


def find(name: str) -> Path:
    """Returns the path of a study's file.

    Args:
        name: a path, or the name of a file in the current folder's `experiments/studies`, or of one
            that comes with cnnjax.

    Raises:
        ConfigError: there is no such file; the nearest names are given.
    """
    path = Path(name)
    if not path.is_file() and path.parent == Path("."):
        path = known().get(name.removesuffix(".py"), path)
    if not path.is_file():
        problem = "is a folder, not a file" if path.is_dir() else "was not found"
        nearest = nearest_names(path.stem, known(), count=1, likeness=0.5)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known())}"
        raise training.ConfigError(f"--study: {name} {problem}; {hint}")
    return path


def known() -> dict[str, Path]:
    """Returns the files by name: the current folder's own, in `FOLDER`, and those of `READY`."""
    return named_files(FOLDER, READY)
