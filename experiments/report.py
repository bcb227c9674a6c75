"""Writes a run's report: `python -m experiments.report` is `cnnjax report`."""

from cnnjax.commands.report import run

if __name__ == "__main__":
    run()
