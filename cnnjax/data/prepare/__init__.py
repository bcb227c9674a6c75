"""Preparing image sets on disk, once, in the format of TFDS."""
