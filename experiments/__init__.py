"""Experiments: the commands as programs of a clone, studies, and configurations to copy."""
