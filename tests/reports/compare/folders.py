"""Made-up run folders for comparisons: two rates, two seeds."""

import json

from cnnjax import studies
from cnnjax.studies.cost import Cost
from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.write_results import write_results
from tests.reports.fakes import write_run_folder
from tests.studies.made_up import make_study

LOSSES = {
    (0.1, 0): [2.0, 1.0, 0.5],
    (0.1, 1): [2.2, 1.4, 0.7],
    (0.01, 0): [2.4, 2.0, 1.5],
    (0.01, 1): [2.3, 1.9, 1.6],
}
"""The evaluated losses of each epoch, by rate and seed; accuracies are 1 - loss / 4."""


def config_of(rate, seed, **values):
    return {
        "model": {"name": "lenet5"},
        "data": {"name": "digits", "resize": 28, "pad": 2, "batch_size": 10},
        "task": {"name": "classification"},
        "optimizer": {"learning_rate": rate},
        "epochs": 3,
        "seed": seed,
        **values,
    }


def lines_of(losses, split="test"):
    lines = []
    for epoch, loss in enumerate(losses, 1):
        values = {"step": 20 * epoch, "epoch": float(epoch), "loss": loss, "accuracy": 1 - loss / 4}
        speed = {"learning_rate": 0.1, "images_per_second": 50.0}
        lines.append({"split": "train", **values, "loss": 2 * loss, **speed})
        lines.append({"split": split, **values})
    return lines


def write_run(folder, rate=0.1, seed=0, lines=None, config=None, **facts):
    """Writes one run; its number follows from its name."""
    folder.mkdir(parents=True)
    number = f"{int.from_bytes(folder.name.encode()) % 16**32:032x}"
    facts = {"model": "lenet5", "dataset": "digits", "run_id": number, **facts}
    return write_run_folder(
        folder,
        lines or lines_of(LOSSES.get((rate, seed), [1.0, 0.9])),
        config or config_of(rate, seed),
        facts,
    )


def write_four(root):
    """Writes the runs of `LOSSES`; returns their folders."""
    return [write_run(root / f"rate-{r}-seed-{s}", r, s) for r, s in LOSSES]


def write_study(workdir, finished=lambda run: True):
    """Writes a study of twelve runs with made-up metrics; returns the study and its runs."""
    study = make_study(
        outcomes=[
            studies.Outcome("error", studies.error, "%"),
            studies.Outcome("norms", studies.gradient_norms, help="by <layer>"),
        ]
    )
    runs = studies.plan_runs(study)
    folder = StudyFolder(workdir)
    folder.start(study, {run.name: Cost(1000, 60) for run in runs})
    for run in filter(finished, runs):
        error = error_of(run)
        config = json.loads(json.dumps(run.config.model_dump()))
        write_run(folder.run(run.name), lines=lines_of([4 * error, 2 * error]), config=config)
        folder.write_outcomes(run.name, {"error": error, "norms": [error, 2 * error]}, 1.0)
    write_results(studies.collect(study, runs, folder), workdir)
    return study, runs


def error_of(run):
    """Deep plain networks are worse by 0.2, and by a little more for each seed."""
    return 0.1 + 0.2 * (run.name.startswith("kind-plain_depth-20")) + 0.01 * run.seed**2
