r"""Counts changes of file between a training's `main` and its first backward rule.

python scripts/house/hops.py CHECKOUT DATA_FOLDER

It stands alone, so that it measures any checkout: CHECKOUT is where `cnnjax` and `experiments` are
found. Prints one line of JSON.
"""

import importlib
import json
import os
import sys
import tempfile
from types import FrameType
from typing import Any


class _Reached(BaseException):
    """Raised by the first backward rule; no handler of errors takes it."""


class _Path:
    """The calls of functions of one checkout, in order."""

    def __init__(self, checkout: str) -> None:
        self.checkout = os.path.join(checkout, "")
        # The checkout's other folders may hold an environment with the libraries.
        self.counted = tuple(self.checkout + each + os.sep for each in ("cnnjax", "experiments"))
        self.files: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Notes the file of a called function.

        Args:
            frame: the function's frame.
            event: what happened, as `sys.setprofile` names it.
            argument: not used.
        """
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(self.counted) and not _importing(frame):
            self.files.append(file.removeprefix(self.checkout))


def _importing(frame: FrameType | None) -> bool:
    """Returns whether a module is being imported: decorators and tables are then called."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = frame.f_back
    return False


def _stop(*arguments: Any) -> None:
    del arguments
    raise _Reached


def main() -> None:
    """Trains until the first backward rule, and prints what was counted."""
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/house/hops.py CHECKOUT DATA_FOLDER")
    checkout, data_folder = sys.argv[1:]
    sys.path.insert(0, checkout)
    os.chdir(checkout)
    import jax

    custom_vjp: Any = jax.custom_vjp
    rule = custom_vjp.defvjp
    # Whichever rule comes first ends the run, whatever its name is.
    custom_vjp.defvjp = lambda self, forward, backward, **options: rule(
        self, forward, _stop, **options
    )
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = [
            "train",
            "--config=experiments/configs/lenet5_digits.py",
            f"--workdir={folder}/run",
            f"--data_dir={data_folder}",
            "--noreport",
        ]
        path = _Path(checkout)
        run = _program()
        sys.setprofile(path)
        try:
            run()
        except _Reached:
            pass
        finally:
            sys.setprofile(None)
    changes = sum(a != b for a, b in zip(path.files, path.files[1:], strict=False))
    print(json.dumps({"calls": len(path.files), "hops": changes, "files": len(set(path.files))}))


def _program() -> Any:
    """Returns the training program of this checkout, or of one from before it was a command."""
    try:
        from cnnjax.commands import train
    except ImportError:
        launch: Any = importlib.import_module("experiments.launch")
        older: Any = importlib.import_module("experiments.train")
        return lambda: launch.launch(older.main)
    return train.run


if __name__ == "__main__":
    main()
