"""Trackers: callbacks of `fit` that send what a run measures to a service."""
