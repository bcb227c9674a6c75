"""Pooling, its inverse and enlarging, each with a hand-derived backward rule."""
