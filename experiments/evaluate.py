"""Evaluates trained networks: `python -m experiments.evaluate` is `cnnjax evaluate`."""

from cnnjax.commands.evaluate import run

if __name__ == "__main__":
    run()
