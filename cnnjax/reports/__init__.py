"""Pages that open offline: of a run, of a network and images, and of several runs compared."""

from cnnjax.reports.compare import Comparison, read_comparison, write_comparison
from cnnjax.reports.network_page import write_network_page
from cnnjax.reports.page import render, write_report
from cnnjax.reports.report_every import ReportEvery
from cnnjax.reports.run_record import RunRecord, read_run_record
from cnnjax.reports.template import check_installed

__all__ = [
    "Comparison",
    "ReportEvery",
    "RunRecord",
    "check_installed",
    "read_comparison",
    "read_run_record",
    "render",
    "write_comparison",
    "write_network_page",
    "write_report",
]
