"""The cost of a study before it runs, and whether its runs can work at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnnjax import recipes
from cnnjax.analysis import multiply_adds
from cnnjax.data.prepare.embedded import require_prepared
from cnnjax.recipes.without_examples import epoch_steps
from cnnjax.studies.plan import PlannedRun
from cnnjax.training.errors import ConfigError


@dataclass(frozen=True)
class Cost:
    """The cost of training a run.

    Attributes:
        multiply_adds: of one image, forward.
        images: trained on in all epochs.
    """

    multiply_adds: int
    images: int

    @property
    def total(self) -> int:
        """Multiply-adds times images. A training step costs about three times the forward pass."""
        return self.multiply_adds * self.images


def check_runs(runs: Sequence[PlannedRun], data_dir: str | None = None) -> dict[str, Cost]:
    """Refuses runs that cannot work, before any of them starts, and counts what each costs.

    Runs that differ in their seed alone are checked once.

    Args:
        runs: the runs.
        data_dir: TFDS data folder; None means TFDS's default.

    Returns:
        The cost of each run, by its name.

    Raises:
        ConfigError: a part of a run is unknown or does not fit another; the message names the run.
        DataError: a dataset is not prepared.
    """
    costs: dict[str, Cost] = {}
    by_setting: dict[str, Cost] = {}
    for run in runs:
        if run.setting not in by_setting:
            by_setting[run.setting] = _check(run, data_dir)
        costs[run.name] = by_setting[run.setting]
    return costs


def _check(run: PlannedRun, data_dir: str | None) -> Cost:
    try:
        blueprint = recipes.make_blueprint(run.config, data_dir)
        checked = recipes.check_blueprint(blueprint, data_dir)
    except ValueError as error:
        raise ConfigError(f"study: the run {run.name}: {error}") from error
    if blueprint.own is None and blueprint.dataset.folder is None:
        require_prepared(blueprint.dataset, data_dir)
    variables = None if checked.shapes is None else checked.shapes.variables
    counted = multiply_adds(blueprint.model, blueprint.image_shape, variables=variables)
    images = epoch_steps(blueprint) * checked.first_batch_size * run.config.epochs
    return Cost(counted, images)


def format_cost(runs: Sequence[PlannedRun], costs: Mapping[str, Cost]) -> str:
    """Returns a line for each run with its cost, and the total.

    Args:
        runs: the runs.
        costs: their costs by name.
    """
    width = max(map(len, costs))
    lines = [f"{'run':<{width}}  {'multiply-adds':>15}  {'images':>11}  {'product':>9}"]
    for run in runs:
        cost = costs[run.name]
        counts = f"{cost.multiply_adds:>15,}  {cost.images:>11,}  {cost.total:>9.2e}"
        lines.append(f"{run.name:<{width}}  {counts}")
    images = sum(costs[run.name].images for run in runs)
    total = sum(costs[run.name].total for run in runs)
    name = f"{len(runs)} runs"
    lines.append(f"{name:<{width}}  {'':>15}  {images:>11,}  {total:>9.2e}")
    lines.append("Multiply-adds are those of one image forward; training takes about three times.")
    return "\n".join(lines)
