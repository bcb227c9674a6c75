"""The table that is part of the package."""

from pathlib import Path

PACKAGE_TABLE = Path(__file__).with_name("cell_table.json")
"""Its file, made by `python -m scripts.cell_table`."""
