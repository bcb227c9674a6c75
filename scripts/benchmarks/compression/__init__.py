"""Benchmarks of networks that were made smaller."""
