"""Cells: their operations, genomes, spaces, and the networks that repeat them."""
