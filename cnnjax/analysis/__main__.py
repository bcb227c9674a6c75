"""What a network costs, layer by layer: `python -m cnnjax.analysis vgg16`."""

import sys

from cnnjax.analysis.cost.summary_command import main

if __name__ == "__main__":
    sys.exit(main())
