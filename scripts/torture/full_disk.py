"""A disk that runs full: nothing saved is lost, and with room again the run is finished."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripts.torture.attack import Attack, Outcome, failed, held
from scripts.torture.processes import run_command, start_command
from scripts.torture.small_run import copy, difference, result_of, small_run, train_arguments


def attempt(generator: np.random.Generator, scratch: Path) -> list[Outcome]:
    """Trains or resumes on a disk that is too small, then goes on where there is room.

    Args:
        generator: chooses the disk's size, and what is on it.
        scratch: an empty folder.
    """
    # Made before the disk is mounted.
    small_run()
    # A finished run takes about 2.5 MB and the digits 1 MB, so that all of these run full.
    size = int(np.exp(generator.uniform(np.log(2**12), np.log(2**21))))
    what = ("a run", "a stopped run", "the data")[generator.integers(3)]
    with _disk(size, scratch / "disk") as mounted:
        if not mounted:
            return _with_small_files(generator, scratch)
        return _on_disk(what, size, scratch)


def _on_disk(what: str, size: int, scratch: Path) -> list[Outcome]:
    small, disk, log = small_run(), scratch / "disk", scratch / "log"
    story = f"{what} on a disk of {size:,} bytes"
    data = disk / "data" if what == "the data" else small.data
    workdir = scratch / "run" if what == "the data" else disk / "run"
    if what == "a stopped run":
        try:
            shutil.copytree(small.stopped, workdir)
        except (OSError, shutil.Error):
            return held(f"{story}: there is no room for it")
    ended = run_command(train_arguments(workdir, data), log)
    if fault := ended.fault():
        return failed(f"{story}: {fault}")
    kept = scratch / "kept"
    if workdir.exists():
        shutil.copytree(workdir, kept, symlinks=True)
    ended = run_command(train_arguments(kept, small.data), log)
    if ended.code or ended.fault():
        return failed(f"{story}, then with room: {ended.fault() or ended.output[-300:]}")
    # Lines of metrics may be lost with a full disk, steps may not.
    problem = difference(result_of(kept, small.data, log), small.result, metrics=False)
    return failed(f"{story}, then with room: {problem}") if problem else held(story)


@contextlib.contextmanager
def _disk(size: int, folder: Path) -> Iterator[bool]:
    """Mounts a file system in memory, and yields whether that is allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _with_small_files(generator: np.random.Generator, scratch: Path) -> list[Outcome]:
    """Without the right to mount: no file may be larger than a limit, as on a full disk."""
    small, log = small_run(), scratch / "log"
    size = int(np.exp(generator.uniform(np.log(2**6), np.log(2**18))))
    story = f"a stopped run whose files are limited to {size:,} bytes"
    workdir = copy(small.stopped, scratch)
    ended = start_command(
        train_arguments(workdir, small.data),
        log,
        limits=[(resource.RLIMIT_FSIZE, size)],
        # Python ignores this signal, as most programs that handle the error do.
        before=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    ).end()
    if fault := ended.fault():
        return failed(f"{story}: {fault}")
    ended = run_command(train_arguments(workdir, small.data), log)
    if ended.code or ended.fault():
        return failed(f"{story}, then with room: {ended.fault() or ended.output[-300:]}")
    problem = difference(result_of(workdir, small.data, log), small.result, metrics=False)
    return failed(f"{story}, then with room: {problem}") if problem else held(story)


ATTACK = Attack("full-disk", attempt, "a disk that runs full while a run is written", small_run)
