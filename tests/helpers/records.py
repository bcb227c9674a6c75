"""Records of checkpoints for tests that have no run."""

import json

from cnnjax.training.folder.manifest import write_manifest
from cnnjax.training.folder.ownership import Owner, RunIdentity, identity_of
from cnnjax.training.folder.record import owner_of


def make_record(run_id="0" * 32, seed=0, **values):
    """Returns what a run puts into the record of a checkpoint."""
    return {
        "run_id": run_id,
        "config": RunIdentity("python", {"seed": seed}, []).description(),
        "facts": {},
        "environment": {},
        **values,
    }


def make_owner(run_id="0" * 32, seed=0):
    """Returns the run that such a record names."""
    return Owner(RunIdentity("python", {"seed": seed}, []).digest, run_id)


def change_identity(workdir, change):
    """Makes a run's folder that of another run, with the same states.

    `change` changes the values that identify the run.
    """
    description = json.loads((workdir / "config.json").read_text())
    change(description["run"])
    (workdir / "config.json").write_text(json.dumps(description))
    facts = json.loads((workdir / "run.json").read_text())
    facts["identity"] = identity_of(description).digest
    (workdir / "run.json").write_text(json.dumps(facts))
    for folder in (workdir / "checkpoints").iterdir():
        forge_record(folder, config=description)


def forge_record(folder, **values):
    """Changes entries of a checkpoint's record, and makes its manifest fit."""
    path = folder / "record.json"
    record = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in record.items() if v is not ...}))
    write_manifest(folder, owner_of(record), int(folder.name))
