"""Python files that a flag names: the user's own, and those that come with cnnjax."""

from pathlib import Path


def named_files(*folders: Path) -> dict[str, Path]:
    """Returns the Python files of some folders by name, without those that start with "_".

    Args:
        *folders: a file hides those of the same name in later folders.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("_"):
                files.setdefault(path.stem, path)
    return files
