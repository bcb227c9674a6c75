"""Studies: many runs and one answer, with the rule written before them; searches over settings."""

from cnnjax.studies.context import RunContext
from cnnjax.studies.cost import Cost, check_runs, format_cost
from cnnjax.studies.factors import Factor, Paired
from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.intervals import Decided, decide, decide_together
from cnnjax.studies.load import load, load_search, load_study, scales_of
from cnnjax.studies.measures import (
    Trained,
    error,
    gradient_norms,
    metric,
    steps_to,
    training_error,
    training_metric,
)
from cnnjax.studies.page import results_page
from cnnjax.studies.plan import PlannedRun, choose_runs, plan_all, plan_runs, plan_sources
from cnnjax.studies.results import Results, collect
from cnnjax.studies.run_study import run_study, study_costs
from cnnjax.studies.search.choice import Choice
from cnnjax.studies.search.costs import TrialCosts
from cnnjax.studies.search.results import SearchResults
from cnnjax.studies.search.run_search import run_search
from cnnjax.studies.search.search import Halving, Search
from cnnjax.studies.search.space import Choices, Integers, LogUniform, Uniform
from cnnjax.studies.search.trials import Trial, plan_trial, trial_names
from cnnjax.studies.search.write_search import format_search, search_page
from cnnjax.studies.sources import SourceRun, source
from cnnjax.studies.study import Comparison, Outcome, Rule, Source, Study, compare
from cnnjax.studies.verdict import DecidedComparison, Verdict, make_verdict
from cnnjax.studies.worker import WorkOptions

__all__ = [
    "Choice",
    "Choices",
    "Comparison",
    "Cost",
    "Decided",
    "DecidedComparison",
    "Factor",
    "Halving",
    "Integers",
    "LogUniform",
    "Outcome",
    "Paired",
    "PlannedRun",
    "Results",
    "Rule",
    "RunContext",
    "Search",
    "SearchResults",
    "Source",
    "SourceRun",
    "Study",
    "StudyFolder",
    "Trained",
    "Trial",
    "TrialCosts",
    "Uniform",
    "Verdict",
    "WorkOptions",
    "check_runs",
    "choose_runs",
    "collect",
    "compare",
    "decide",
    "decide_together",
    "error",
    "format_cost",
    "format_search",
    "gradient_norms",
    "load",
    "load_search",
    "load_study",
    "make_verdict",
    "metric",
    "plan_all",
    "plan_runs",
    "plan_sources",
    "plan_trial",
    "results_page",
    "run_search",
    "run_study",
    "scales_of",
    "search_page",
    "source",
    "steps_to",
    "study_costs",
    "training_error",
    "training_metric",
    "trial_names",
]
