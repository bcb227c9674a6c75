"""Prepare an image set for training, as TFDS's array_record files, and read it back.

cnnjax prepare mnist --source=FOLDER --data_dir=FOLDER
cnnjax prepare imagenette/160px-v2

MNIST, Fashion-MNIST and CIFAR-10 are prepared without TensorFlow and without a network from the
files that their authors published, in the folder --source; each file's digest is checked. Every
other TFDS set is downloaded and prepared by TFDS, which needs TensorFlow: pip install cnnjax[tf].
"""

import argparse
import sys

from cnnjax import data
from cnnjax.commands.exit_codes import MEANINGS, RUN_ERROR, USAGE_ERROR
from cnnjax.commands.help.columns import WIDTH


def main(arguments: list[str] | None = None) -> int:
    """Prepares a set and prints its size and the statistics that were read back.

    Args:
        arguments: the command line without the program; None reads `sys.argv`.

    Returns:
        The exit code: 0, 2 for what the user has to fix, or 3 for a data folder that cannot be
        written.
    """
    options = _parser().parse_args(arguments)
    try:
        prepared = data.prepare(options.name, options.source, options.data_dir)
    except data.DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except data.DataFolderError as error:
        print(f"error: {error}", file=sys.stderr)
        return RUN_ERROR
    sizes = ", ".join(f"{size:,} {split}" for split, size in prepared.split_sizes.items())
    took = "before" if prepared.seconds is None else f"in {prepared.seconds:.0f} s"
    print(f"prepared   {took}, in {prepared.folder}")
    print(f"examples   {sizes}")
    print(f"mean       {_channels(prepared.mean)} of {prepared.pixels_of:,} training images")
    print(f"deviation  {_channels(prepared.std)}")
    return 0


def run() -> None:
    """Runs the command on the process's own arguments."""
    sys.exit(main())


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code}  {MEANINGS[code]}" for code in (0, USAGE_ERROR, RUN_ERROR))
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=WIDTH),
        epilog=f"Exit codes:\n{codes}",
    )
    group = parser.add_argument_group("Data")
    group.add_argument("name", help="TFDS name, with /CONFIGURATION if need be [required]")
    group.add_argument(
        "--source",
        help="folder of the original files, or of what was downloaded manually [default: none]",
    )
    group.add_argument("--data_dir", help="TFDS data folder [default: TFDS's own]")
    return parser


def _channels(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.5f}" for value in values)
