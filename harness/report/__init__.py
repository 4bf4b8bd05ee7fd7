"""Reports: views of the store that are files rather than tables."""

from harness.report.document import Asked as Asked
from harness.report.document import Data as Data
from harness.report.saved import Saved as Saved
from harness.report.saved import save_plots as save_plots
from harness.report.saved import save_report as save_report
from harness.report.saved import save_tables as save_tables
