"""The attack on cnnjax as a command: `python -m scripts.torture --help`."""
