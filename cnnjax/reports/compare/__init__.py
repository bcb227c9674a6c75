"""The page that compares runs: learning curves, results, paired differences and cost."""

from cnnjax.reports.compare.comparison import Comparison, read_comparison
from cnnjax.reports.compare.page import write_comparison

__all__ = ["Comparison", "read_comparison", "write_comparison"]
