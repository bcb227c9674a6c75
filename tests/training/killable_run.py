"""A training run that prints where it is, for tests that kill it: a program of its own.

python -m tests.training.killable_run CONFIG.json WORKDIR DATA_DIR [PLACE NUMBER]

It prints a line at every step ("step 17") and at every place within the writing of a checkpoint
("arrays 3": in the third). At PLACE and NUMBER, if given, it waits to be killed.
"""

import functools
import json
import os
import sys
import threading
import time

PLACES = ("start", "arrays", "digests", "flush", "rename", "read back", "pruned")
"""Moments in the writing of a checkpoint, in their order."""


def report(place, number, waits_at):
    os.write(1, f"{place} {number}\n".encode())
    if (place, number) == waits_at:
        if place == "arrays":  # orbax's threads are to be killed at their work, not asleep
            return
        time.sleep(600)


def instrument(waits_at):
    """Makes the run print where it is."""
    import orbax.checkpoint as ocp

    from cnnjax.training.folder import checkpoints
    from cnnjax.training.loop.trainer import Trainer

    written = 0

    def before(owner, name, place):
        original = getattr(owner, name)

        @functools.wraps(original)
        def reported(*arguments, **options):
            nonlocal written
            if place == "start":
                written += 1
            if threading.current_thread() is threading.main_thread():
                report(place, written, waits_at)
            return original(*arguments, **options)

        setattr(owner, name, reported)

    before(checkpoints.Checkpoints, "_write", "start")
    before(ocp.StandardCheckpointer, "save", "arrays")
    before(checkpoints, "write_manifest", "digests")
    before(checkpoints, "flush_tree", "flush")
    before(os, "replace", "rename")
    before(checkpoints.Checkpoints, "_prune", "pruned")
    before(checkpoints.Checkpoints, "problem", "read back")
    advance = Trainer.advance

    def reported_advance(self):
        sums = advance(self)
        report("step", self.step, waits_at)
        return sums

    Trainer.advance = reported_advance


def main(config_file, workdir, data_dir, *wait):
    from cnnjax import recipes, training

    instrument((wait[0], int(wait[1])) if wait else None)
    with open(config_file) as file:
        config = recipes.parse_config(json.load(file))
    training.fit(
        recipes.make_run(config, data_dir=data_dir),
        workdir,
        cadence=training.Cadence(log_every=1, checkpoint_every=2, checkpoint_steps=3),
        progress=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
