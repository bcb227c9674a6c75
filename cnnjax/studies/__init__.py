"""Studies: many runs and one answer, with the rule that decides it written before the runs."""

from cnnjax.studies.cost import Cost, check_runs, format_cost
from cnnjax.studies.factors import Factor, Paired
from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.intervals import Decided, decide, decide_together
from cnnjax.studies.load import load_study, scales_of
from cnnjax.studies.measures import (
    Trained,
    error,
    gradient_norms,
    metric,
    training_error,
    training_metric,
)
from cnnjax.studies.page import results_page
from cnnjax.studies.plan import PlannedRun, choose_runs, plan_runs
from cnnjax.studies.results import Results, collect
from cnnjax.studies.run_study import run_study, study_costs
from cnnjax.studies.study import Comparison, Outcome, Rule, Source, Study
from cnnjax.studies.verdict import DecidedComparison, Verdict, make_verdict
from cnnjax.studies.worker import WorkOptions

__all__ = [
    "Comparison",
    "Cost",
    "Decided",
    "DecidedComparison",
    "Factor",
    "Outcome",
    "Paired",
    "PlannedRun",
    "Results",
    "Rule",
    "Source",
    "Study",
    "StudyFolder",
    "Trained",
    "Verdict",
    "WorkOptions",
    "check_runs",
    "choose_runs",
    "collect",
    "decide",
    "decide_together",
    "error",
    "format_cost",
    "gradient_norms",
    "load_study",
    "make_verdict",
    "metric",
    "plan_runs",
    "results_page",
    "run_study",
    "scales_of",
    "study_costs",
    "training_error",
    "training_metric",
]
