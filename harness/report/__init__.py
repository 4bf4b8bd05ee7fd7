"""Reports: views of the store that are files rather than tables."""

from harness.report.plots import Saved as Saved
from harness.report.plots import save_plots as save_plots
