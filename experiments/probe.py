"""Reads classes from the features of a layer: `python -m experiments.probe` is `cnnjax probe`."""

from cnnjax.commands.probe import run

if __name__ == "__main__":
    run()
