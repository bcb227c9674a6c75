"""Prepares an image set for training, as TFDS's array_record files, and reads it back.

    python -m scripts.prepare_data mnist --source=FOLDER --data_dir=FOLDER
    python -m scripts.prepare_data imagenette/160px-v2

MNIST, Fashion-MNIST and CIFAR-10 are prepared without TensorFlow and without a network from the
files their authors published, lying in --source; each file's digest is checked. Every other TFDS
set is downloaded and prepared by TFDS, which needs TensorFlow: pip install cnnjax[tf].
"""

import argparse
import sys

from cnnjax import data


def main(arguments: list[str] | None = None) -> int:
    """Prepares a set and prints what was read back; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="TFDS name, with /CONFIGURATION if need be")
    parser.add_argument(
        "--source", help="folder of the original files, or of what was downloaded by hand"
    )
    parser.add_argument("--data_dir", help="TFDS data folder; TFDS's own default if not given")
    options = parser.parse_args(arguments)
    try:
        prepared = data.prepare(options.name, options.source, options.data_dir)
    except data.DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    sizes = ", ".join(f"{size:,} {split}" for split, size in prepared.split_sizes.items())
    took = "before" if prepared.seconds is None else f"in {prepared.seconds:.0f} s"
    print(f"prepared   {took}, in {prepared.folder}")
    print(f"examples   {sizes}")
    print(f"mean       {_channels(prepared.mean)} of {prepared.pixels_of:,} training images")
    print(f"deviation  {_channels(prepared.std)}")
    return 0


def _channels(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.5f}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
