"""Claims: which process runs which run of a study, decided by files in a shared folder.

A claim is a file, `RUN.NUMBER.claim`, that names host and process. It is written beside its place
and gets its name by a hard link, which fails where the name is taken. Its owner renews it by
setting its time. A claim that was not renewed for `STALE_SECONDS`, or whose process has ended on
this machine, is renamed to `RUN.NUMBER.former`: of several processes that try, one succeeds, and
the owner's next renewal finds no file. The next claim has the next number, so that no name is ever
used twice.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.json_files import DamagedFile, read_json
from cnnjax.writing import flush

RENEW_SECONDS = 30.0
"""Time between two renewals."""

STALE_SECONDS = 300.0
"""A claim that was not renewed for this long may be taken."""

_FILE = re.compile(r"(?P<run>.+)\.(?P<number>\d+)\.(?P<kind>claim|former)")


@dataclass(frozen=True)
class Claim:
    """A run that this process has claimed.

    Attributes:
        run: the run's name.
        path: the claim's file.
    """

    run: str
    path: Path

    def renew(self) -> bool:
        """Sets the claim's time to now; returns False where another process has taken the claim."""
        try:
            # Without a time of our own: on a network, it is the server's clock that counts.
            os.utime(self.path)
        except FileNotFoundError:
            return False
        return True

    def release(self) -> None:
        """Ends the claim, so that another process may claim the run."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path, self.path.with_suffix(".former"))


class Claims:
    """The claims of a study.

    Args:
        folder: where they are, made if it does not exist.
        stale_seconds: after how many seconds without renewal a claim may be taken.
    """

    def __init__(self, folder: Path, stale_seconds: float = STALE_SECONDS):
        self.folder = folder
        self.stale_seconds = stale_seconds
        folder.mkdir(parents=True, exist_ok=True)

    def acquire(self, run: str) -> Claim | None:
        """Claims a run; returns None where another process has a claim that is not stale.

        Args:
            run: the run's name.
        """
        number, live = self._newest(run)
        if live is not None:
            if not self._is_stale(live):
                return None
            try:
                os.rename(live, live.with_suffix(".former"))
            except FileNotFoundError:
                # Its owner has released it, or another process was faster.
                return None
        return self._create(run, number + 1)

    def live(self) -> list[str]:
        """Returns the names of the runs with a claim that is not stale, sorted."""
        runs = {match["run"] for match in self._files() if match["kind"] == "claim"}
        found = []
        for run in sorted(runs):
            _, claim = self._newest(run)
            if claim is not None and not self._is_stale(claim):
                found.append(run)
        return found

    def _files(self) -> list[re.Match[str]]:
        matches = (_FILE.fullmatch(name) for name in os.listdir(self.folder))
        return [match for match in matches if match is not None]

    def _newest(self, run: str) -> tuple[int, Path | None]:
        """Returns the number of a run's newest claim, and its file unless it has ended."""
        # A file that is renamed during the listing may be met under both names, or under neither:
        # then the next number's name is taken already, and cannot be linked to.
        found = [(int(m["number"]), m["kind"] == "claim") for m in self._files() if m["run"] == run]
        if not found:
            return 0, None
        number = max(number for number, _ in found)
        live = (number, True) in found and (number, False) not in found
        return number, self._path(run, number) if live else None

    def _path(self, run: str, number: int) -> Path:
        return self.folder / f"{run}.{number:04d}.claim"

    def _create(self, run: str, number: int) -> Claim | None:
        path = self._path(run, number)
        # Complete before it has its name: a process that is killed here leaves no half claim.
        aside = self.folder / f".{secrets.token_hex(8)}.incomplete"
        try:
            aside.write_text(json.dumps({"run": run, **describe_process()}, indent=2) + "\n")
            flush(aside)
            os.link(aside, path)
        except FileExistsError:
            return None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise
            raise RunFolderError(
                f"workdir: {self.folder} is on a file system without hard links, which claims "
                "need; choose another --workdir"
            ) from error
        finally:
            aside.unlink(missing_ok=True)
        if path.with_suffix(".former").exists() or self._newest(run)[0] != number:
            # The number came from a listing that was old by now: others have gone on from there.
            path.unlink(missing_ok=True)
            return None
        return Claim(run, path)

    def _is_stale(self, path: Path) -> bool:
        owner: dict[str, Any] = {}
        try:
            renewed = path.stat().st_mtime
            with contextlib.suppress(DamagedFile, RunFolderError):
                owner = read_json(path, {})
        except FileNotFoundError:
            # Released or taken in this moment; the next look finds out which.
            return False
        return _is_gone(owner) or self._now() - renewed > self.stale_seconds

    def _now(self) -> float:
        """Returns the time of the folder's own clock, which other machines' claims have."""
        probe = self.folder / f".{secrets.token_hex(8)}.now"
        try:
            probe.touch()
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)


def describe_process() -> dict[str, Any]:
    """Returns this process's host and number, and what distinguishes it from a later one."""
    process = os.getpid()
    return {
        "host": socket.gethostname(),
        "process": process,
        "system": _system(),
        "process_started": _started(process),
        "claimed": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _is_gone(owner: dict[str, Any]) -> bool:
    """Returns whether a claim's process was on this machine and has ended; False if unknown."""
    system, started, process = (owner.get(n) for n in ("system", "process_started", "process"))
    if system is None or started is None or not isinstance(process, int):
        return False
    here = system == _system() and owner.get("host") == socket.gethostname()
    return here and _started(process) != started


def _system() -> str | None:
    """Returns what identifies the running system, and the numbers of its processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # Containers on one machine have processes of the same numbers.
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _started(process: int) -> str | None:
    """Returns when a process of this machine was started, in its own unit; None if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie does no more work.
    return None if fields[0] == "Z" else fields[19]
