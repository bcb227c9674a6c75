"""Pages that open offline: `report.html` of a run's folder, and a page of a network and images."""

from cnnjax.reports.network_page import write_network_page
from cnnjax.reports.page import render, write_report
from cnnjax.reports.report_every import ReportEvery
from cnnjax.reports.run_record import RunRecord, read_run_record
from cnnjax.reports.template import check_installed

__all__ = [
    "ReportEvery",
    "RunRecord",
    "check_installed",
    "read_run_record",
    "render",
    "write_network_page",
    "write_report",
]
