"""Runs a study: `python -m experiments.study` is `cnnjax study`."""

from cnnjax.commands.study import run

if __name__ == "__main__":
    run()
