"""A network as a graph of its layers, read from the traced program of any Flax module."""
