"""Charts as SVG and tables with tones, in the colors of the page's light or dark scheme."""

from cnnjax.reports.charts.line_chart import EVALUATED, TRAIN, Line, line_chart

__all__ = ["EVALUATED", "TRAIN", "Line", "line_chart"]
