"""Prepares an image set for training: `python -m scripts.prepare_data` is `cnnjax prepare`."""

import sys

from cnnjax.commands.prepare import main

if __name__ == "__main__":
    sys.exit(main())
