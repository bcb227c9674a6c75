"""The errors of searches that their user, not their code, has to fix."""

from cnnjax.training.errors import ConfigError


class GenomeError(ConfigError):
    """A genome has another form, or is of another space."""


class SearchError(ConfigError):
    """A search is described so that it cannot work."""
