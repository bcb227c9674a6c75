"""What a study that makes its own runs gets besides the settings of a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flax.linen as linen

from cnnjax import data
from cnnjax.nearest import did_you_mean
from cnnjax.recipes.schema import ModelConfig
from cnnjax.recipes.starting_weights import StartingWeights
from cnnjax.studies.sources import WEIGHTS_FILE, SourceNotFinished, source_names
from cnnjax.training.errors import ConfigError
from cnnjax.training.run import Run


@dataclass(frozen=True)
class RunContext:
    """Where a run of a study finds its data and the runs that it starts from.

    Attributes:
        labels: the run's label of each factor; none of a source.
        seed: the study's seed that the run belongs to; the run's own is in its settings.
        data_dir: TFDS data folder; None means TFDS's default.
        read: how images are read.
        workdir: the study's folder; None where runs are only checked.
        sources: the runs of this seed's sources, by the sources' names.
        is_finished: whether the run of a name is; sources that are not are refused.
        asked: the names of the sources that the run has asked for; they are added here.
    """

    labels: Mapping[str, str]
    seed: int
    data_dir: str | None = None
    read: data.ReadOptions = data.ReadOptions()  # noqa: RUF009 (it cannot be changed)
    workdir: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    is_finished: Callable[[str], bool] = lambda name: True
    asked: list[str] = field(default_factory=list, compare=False)

    def source(self, name: str) -> Path:
        """Returns the folder of a source's run of this seed.

        While the study's runs are checked, before any is trained, the folder does not exist yet:
        read it only when training starts, as `start` does.

        Args:
            name: of the source, one of the study's `sources`.

        Raises:
            ConfigError: the study has no such source.
        """
        if name not in self.sources:
            hint = did_you_mean(name, self.sources, count=1).strip() or source_names(self.sources)
            raise ConfigError(f"source: {name!r} is unknown; {hint}")
        if name not in self.asked:
            self.asked.append(name)
        run = self.sources[name]
        if self.workdir is not None and not self.is_finished(run):
            raise SourceNotFinished(f"{run} is not finished")
        return (self.workdir or Path()) / "runs" / run

    def weights(self, name: str) -> Path:
        """Returns the file of a source's variables, as `models.read_given` reads it.

        Args:
            name: of the source.

        Raises:
            ConfigError: the study has no such source.
        """
        return self.source(name) / WEIGHTS_FILE

    def start(
        self,
        name: str,
        model: linen.Module,
        *,
        image_shape: tuple[int, int, int] | None = None,
        fresh: Sequence[str] = (),
        fresh_from: str = "",
        part: str = "",
    ) -> StartingWeights:
        """Returns a source's variables to start a run from: `training.Run(start=...)`.

        Args:
            name: of the source.
            model: the network that starts from them.
            image_shape: height, width and channels of its images, where the channels differ from
                those of the source, or `fresh_from` is given.
            fresh: regular expressions over paths of layers that keep their initialization.
            fresh_from: name of the layer from which on layers keep their initialization.
            part: name of the part of the network that is loaded, such as "encoder"; "" for all.

        Raises:
            ConfigError: the study has no such source.
        """
        section = ModelConfig(
            weights=str(self.weights(name)), fresh=tuple(fresh), fresh_from=fresh_from, part=part
        )
        return StartingWeights(model, section, image_shape, self.data_dir)


MakeRun = Callable[[Any, RunContext], Run]
"""From a run's settings and its context to the run."""
