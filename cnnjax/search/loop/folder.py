"""The folder of a search over cells: one small file for each evaluation, and what follows them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnjax.search.cells.genome import Genome, parse_genome
from cnnjax.search.loop.cell_search import CellSearch
from cnnjax.search.strategies.strategy import Evaluated
from cnnjax.studies.claims import Claims, describe_process
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.differences import differences
from cnnjax.training.folder.json_files import (
    COUNT,
    NUMBER,
    NUMBERS,
    OBJECT,
    OBJECTS,
    TEXT,
    DamagedFile,
    Table,
    read_json,
)
from cnnjax.training.folder.write_errors import write_error
from cnnjax.writing import write_json

SEARCH_FILE = "cell_search.json"
"""What the folder's search is."""

CHOICE_FILE = "choice.json"
"""The cell that was chosen."""

_SEARCH: Table = {"search": OBJECT, "parts": OBJECTS}
_EVALUATION: Table = {
    "genome": TEXT,
    "score": NUMBER,
    "multiply_adds": COUNT,
    "parameters": COUNT,
    "seconds": NUMBER,
}
_CHOICE: Table = {"number": COUNT, "genome": TEXT, "score": NUMBER, "evaluations": COUNT}
_TESTED: Table = {"metrics": NUMBERS, "seconds": NUMBER}


@dataclass(frozen=True)
class ChosenCell:
    """The best cell on held-out examples.

    Attributes:
        number: of its evaluation.
        genome: the cell.
        score: its score.
        evaluations: of how many it is the best.
    """

    number: int
    genome: Genome
    score: float
    evaluations: int


class CellFolder:
    """The folder that all processes of a search share.

    Args:
        workdir: its path.

    Attributes:
        workdir: its path.
    """

    def __init__(self, workdir: str | Path):
        self.workdir = Path(workdir)
        self._read: dict[int, Evaluated] = {}

    def claims(self) -> Claims:
        """Returns the claims of the search's evaluations."""
        try:
            return Claims(self.workdir / "claims")
        except OSError as error:
            raise write_error(self.workdir, error) from error

    def start(self, search: CellSearch) -> None:
        """Writes what the search is, or compares it with the search that the folder has.

        Args:
            search: the search.

        Raises:
            RunFolderError: the folder has another search, something else, or cannot be written.
        """
        path = self.workdir / SEARCH_FILE
        try:
            there = read_json(path, _SEARCH)["search"]
        except FileNotFoundError:
            there = None
        except DamagedFile as damaged:
            raise RunFolderError(f"workdir: {damaged}; search in another --workdir") from None
        if there is None:
            self._refuse_others()
            values = {"search": search.describe(), "parts": search.parts()}
            self._write(path, values)
            return
        differing = [
            f"{key} is {before} there, {after} here"
            for key, before, after in differences(there, search.describe())
        ]
        if differing:
            raise RunFolderError(
                f"workdir: {self.workdir} has another search: {'; '.join(differing[:5])}; give "
                "another --workdir"
            )
        choice = self.choice()
        if choice is not None and choice.evaluations < search.evaluations:
            raise RunFolderError(
                f"workdir: {self.workdir} has chosen the best of {choice.evaluations} cells "
                f"already, and the test split may have been scored; for {search.evaluations} "
                "evaluations, give another --workdir"
            )

    def _refuse_others(self) -> None:
        """Refuses a folder with files of something else."""
        if self.workdir.exists() and not self.workdir.is_dir():
            raise RunFolderError(f"workdir: {self.workdir} is a file; give a folder")
        there = sorted(p.name for p in self.workdir.iterdir()) if self.workdir.is_dir() else []
        if there:
            raise RunFolderError(
                f"workdir: {self.workdir} has no search over cells, but other files, such as "
                f"{there[0]}; give another --workdir"
            )

    def history(self) -> dict[int, Evaluated]:
        """Returns the evaluations so far, by number.

        Raises:
            RunFolderError: a file is damaged: removed, its cell is evaluated again.
        """
        folder = self.workdir / "evaluations"
        names = sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []
        for name in names:
            number = int(name) if name.isdecimal() else -1
            if number >= 0 and number not in self._read:
                self._read[number] = self._evaluated(number)
        return dict(sorted(self._read.items()))

    def _evaluated(self, number: int) -> Evaluated:
        values = self._checked(self._evaluation(number), _EVALUATION, "its cell is evaluated again")
        rest = {name: values[name] for name in ("score", "multiply_adds", "parameters", "seconds")}
        return Evaluated(number, parse_genome(values["genome"]), **rest)

    def write_evaluation(self, evaluated: Evaluated) -> None:
        """Writes an evaluation: the population then has one more cell.

        Args:
            evaluated: the evaluation.

        Raises:
            RunFolderError: it cannot be written.
        """
        values = {
            "genome": str(evaluated.genome),
            "score": evaluated.score,
            "multiply_adds": evaluated.multiply_adds,
            "parameters": evaluated.parameters,
            "seconds": round(evaluated.seconds, 2),
        }
        self._write(self._evaluation(evaluated.number), {**values, **describe_process()})

    def choice(self) -> ChosenCell | None:
        """Returns the cell that was chosen; None if none was yet.

        Raises:
            RunFolderError: its file is damaged.
        """
        path = self.workdir / CHOICE_FILE
        if not path.exists():
            return None
        values = self._checked(path, _CHOICE, "the same choice is made again")
        rest = {name: values[name] for name in ("number", "score", "evaluations")}
        return ChosenCell(genome=parse_genome(values["genome"]), **rest)

    def choose(self, history: Sequence[Evaluated]) -> ChosenCell:
        """Returns the cell with the best score, of equal ones the first, and writes the choice.

        Args:
            history: all evaluations.

        Raises:
            RunFolderError: it cannot be written.
        """
        best = max(history, key=lambda evaluated: (evaluated.score, -evaluated.number))
        made = ChosenCell(best.number, best.genome, best.score, len(history))
        chosen = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        values = {"number": made.number, "genome": str(made.genome), "score": made.score}
        values |= {"evaluations": made.evaluations, "chosen": chosen}
        self._write(self.workdir / CHOICE_FILE, values)
        return made

    def tested(self, seed: int) -> dict[str, float] | None:
        """Returns the test metrics of a training of the chosen cell; None if there are none yet.

        Args:
            seed: of the training.

        Raises:
            RunFolderError: its file is damaged.
        """
        path = self._final(seed)
        if not path.exists():
            return None
        return self._checked(path, _TESTED, "the cell is trained again")["metrics"]

    def write_tested(self, seed: int, metrics: Mapping[str, float], seconds: float) -> None:
        """Writes the test metrics of a training of the chosen cell.

        Args:
            seed: of the training.
            metrics: the metrics.
            seconds: that it took.

        Raises:
            RunFolderError: it cannot be written.
        """
        values = {"metrics": dict(metrics), "seconds": round(seconds, 2), **describe_process()}
        self._write(self._final(seed), values)

    def _evaluation(self, number: int) -> Path:
        return self.workdir / "evaluations" / f"{number:05d}.json"

    def _final(self, seed: int) -> Path:
        return self.workdir / "final" / f"seed-{seed}.json"

    def _checked(self, path: Path, table: Table, remedy: str) -> dict[str, Any]:
        try:
            return read_json(path, table)
        except DamagedFile as damaged:
            raise RunFolderError(f"workdir: {damaged}; remove it, and {remedy}") from None

    def _write(self, path: Path, values: Mapping[str, Any]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, values)
        except OSError as error:
            raise write_error(self.workdir, error) from error
