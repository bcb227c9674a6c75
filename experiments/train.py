"""Trains a network: `python -m experiments.train` is `cnnjax train`."""

from cnnjax.commands.train import run

if __name__ == "__main__":
    run()
