"""A run folder's files in, one `report.html` out that opens offline."""

from cnnjax.reports.page import check_installed, render, write_report
from cnnjax.reports.run_record import RunRecord, read_run_record

__all__ = ["RunRecord", "check_installed", "read_run_record", "render", "write_report"]
