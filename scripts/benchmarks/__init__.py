"""Benchmarks. Each contestant brings its own compiler options, so that XLA is left as it comes."""

import os
import sys

if "cnnjax" not in sys.modules:
    os.environ.setdefault("CNNJAX_KEEP_XLA_FLAGS", "1")
