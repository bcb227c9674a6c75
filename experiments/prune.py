"""Makes a trained network smaller: `python -m experiments.prune` is `cnnjax prune`."""

from cnnjax.commands.prune import run

if __name__ == "__main__":
    run()
