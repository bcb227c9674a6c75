"""Benchmarks. Each contestant has its own compiler options, so XLA's flags are left alone."""

import os
import sys

# Too late otherwise: importing cnnjax sets the flag.
if "cnnjax" not in sys.modules:
    os.environ.setdefault("CNNJAX_KEEP_XLA_FLAGS", "1")
