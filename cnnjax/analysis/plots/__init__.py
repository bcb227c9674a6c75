"""Thin plotters of what the analysis returns."""
