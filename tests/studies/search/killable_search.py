"""A search that prints where it is, for tests that kill it: a program of its own.

python -m tests.studies.search.killable_search WORKDIR DATA_DIR [PLACE NUMBER]

The places are those of `tests.studies.killable_study`, and before each line that is appended to the
journal ("journal 9").
"""

import sys
from pathlib import Path

from tests.studies import killable_study


def main(workdir, data_dir, *wait):
    from optuna.storages.journal import JournalFileBackend

    from cnnjax import studies

    waits_at = (wait[0], int(wait[1])) if wait else None
    killable_study.instrument(waits_at)
    append = JournalFileBackend.append_logs

    def reported(self, logs):
        killable_study.report("journal", waits_at)
        append(self, logs)

    JournalFileBackend.append_logs = reported
    search = studies.load_search(Path(__file__).with_name("tiny_search.py"), "eight")
    studies.run_search(
        search, workdir, options=studies.WorkOptions(data_dir=data_dir, poll_seconds=0.1)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
