"""What reading images raises when its user, not its code, has to fix something."""


class DataError(ValueError):
    """A set is unknown, not prepared, not where it was, or not what it should be."""


class DamagedImages(Exception):
    """More images than allowed cannot be decoded; the message names them."""
