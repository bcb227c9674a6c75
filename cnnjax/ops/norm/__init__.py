"""Normalization of activations, with hand-derived backward rules."""
