"""Compares runs on one page: `python -m experiments.compare` is `cnnjax compare`."""

from cnnjax.commands.compare import run

if __name__ == "__main__":
    run()
