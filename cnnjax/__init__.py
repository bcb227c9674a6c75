"""Convolutional networks in JAX and Flax, with hand-derived backward rules."""

from cnnjax import models, nn, ops

__all__ = ["models", "nn", "ops"]
