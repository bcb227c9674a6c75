"""Searches that train: described, evaluated by any number of processes, chosen and tested once."""
