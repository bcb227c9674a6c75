"""What a new run starts from, other than the network's own initialization."""

from collections.abc import Mapping
from typing import Any, Protocol


class Start(Protocol):
    """Trained variables that a new run starts from; a resumed run never reads them."""

    def plan(self, shapes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns what is loaded and what is fresh, as JSON values for the run's folder.

        Args:
            shapes: those of the network's variables.

        Raises:
            ConfigError: the trained variables are not there, or do not fit; nothing was written.
        """
        ...

    def variables(self, initialized: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the variables to start from.

        Args:
            initialized: the network's own initialization.

        Raises:
            ConfigError: see `plan`.
        """
        ...
