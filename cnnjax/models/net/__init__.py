"""The base classes of the zoo's networks."""

from cnnjax.models.net.base import FEATURES, Net
from cnnjax.models.net.choices import ChoiceNet

__all__ = ["FEATURES", "ChoiceNet", "Net"]
