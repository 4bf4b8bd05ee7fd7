"""Reports: views of the store that are files rather than tables."""

from harness.report.saved import Saved as Saved
from harness.report.saved import save_plots as save_plots
