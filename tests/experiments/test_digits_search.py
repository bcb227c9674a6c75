"""The search on the digits can be started as it is."""

from cnnjax import studies
from tests.helpers.processes import ROOT


def test_its_trials_are_runs_that_hold_examples_out(data_dir):
    search = studies.load_search(ROOT / "experiments" / "studies" / "digits_search.py")
    assert search.trials is not None
    costs = studies.TrialCosts(data_dir)
    widths = {}
    for number in range(search.trials):
        run = studies.plan_trial(search, number)
        assert run.config.data.validation_examples == 287
        widths.setdefault(run.config.model.overrides["widths"], run)
    assert set(widths) == {(8, 16), (16, 32), (32, 64)}
    # 1,150 examples in batches of 64, nine times.
    assert {costs.of(run).images for run in widths.values()} == {17 * 64 * 9}
