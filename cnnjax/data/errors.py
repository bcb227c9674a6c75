"""Errors in reading images that the user has to fix, not the code."""


class DataError(ValueError):
    """A set is unknown, not prepared, no longer there, or not in the expected form."""


class DataFolderError(Exception):
    """The folder of prepared sets cannot be written: it is full, read-only or no folder."""


class DamagedImages(Exception):
    """More images than allowed cannot be read; the message names them."""
