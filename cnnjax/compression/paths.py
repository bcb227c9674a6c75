"""Nested dictionaries of arrays by the paths of their leaves, and the reverse."""

from collections.abc import Mapping
from typing import Any

from flax import traverse_util

Path = tuple[str, ...]


def flat_paths(tree: Mapping[str, Any]) -> dict[Path, Any]:
    """Returns the leaves of a tree by their paths.

    Args:
        tree: nested mappings.
    """
    leaves: Any = traverse_util.flatten_dict(dict(tree))
    return leaves


def nested_paths(leaves: Mapping[Path, Any]) -> dict[str, Any]:
    """Returns the tree of leaves by their paths.

    Args:
        leaves: as `flat_paths` returns them.
    """
    return traverse_util.unflatten_dict(leaves)
