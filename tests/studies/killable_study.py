"""A study that prints where it is, for tests that kill it: a program of its own.

python -m tests.studies.killable_study WORKDIR DATA_DIR|fake [PLACE NUMBER]

It prints a line at every step ("step 17"), before a claim gets its name ("claim 3"), before a claim
ends ("end 2") and before an outcome is measured ("measure 5"). At PLACE and NUMBER, if given, it
waits to be killed. With "fake" nothing is trained.
"""

import collections
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

COUNTS = collections.Counter()


def report(place, waits_at):
    COUNTS[place] += 1
    os.write(1, f"{place} {COUNTS[place]}\n".encode())
    if (place, COUNTS[place]) == waits_at:
        time.sleep(600)


def before(owner, name, place, waits_at):
    original = getattr(owner, name)

    def reported(*arguments, **options):
        report(place, waits_at)
        return original(*arguments, **options)

    setattr(owner, name, reported)


def instrument(waits_at):
    """Makes the study print where it is."""
    from cnnjax.studies import claims, worker
    from cnnjax.training.loop.trainer import Trainer

    # Only in that file: checkpoints rename too.
    claims.os = SimpleNamespace(**vars(os))  # pyright: ignore
    before(claims.os, "link", "claim", waits_at)
    before(claims.os, "rename", "end", waits_at)
    before(worker, "_measured", "measure", waits_at)
    advance = Trainer.advance

    def reported_advance(self):
        sums = advance(self)
        report("step", waits_at)
        return sums

    Trainer.advance = reported_advance


def main(workdir, data_dir, *wait):
    from cnnjax import studies
    from cnnjax.studies.worker import Worker, WorkOptions

    waits_at = (wait[0], int(wait[1])) if wait else None
    instrument(waits_at)
    if data_dir == "fake":
        from tests.studies import fake_training

        fake_training.install(setattr, advanced=lambda: report("step", waits_at))
        study, folder = fake_training.study_and_folder(workdir)
        options = WorkOptions(poll_seconds=0.05)
        Worker(study, studies.plan_runs(study), folder, options).work()
        return
    study = studies.load_study(Path(__file__).with_name("tiny_study.py"), "twelve")
    studies.run_study(study, workdir, options=WorkOptions(data_dir=data_dir, poll_seconds=0.1))


if __name__ == "__main__":
    main(*sys.argv[1:])
