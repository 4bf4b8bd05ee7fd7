"""The table: rows of the store, tabulated with pandas.

`where` keeps some rows, `tabulate` turns rows into lines (one a cell), `to_text` writes
lines for people and `caption` what stands below them, `records` writes rows for
programs. All of them are pure functions of data
frames; the frame of rows is the one that `Store.frame` returns.
"""

from harness.table.caption import caption as caption
from harness.table.cells import pairs as pairs
from harness.table.cells import tabulate as tabulate
from harness.table.cells import with_recipe as with_recipe
from harness.table.conditions import where as where
from harness.table.counted import counted as counted
from harness.table.read import read_table as read_table
from harness.table.render import records as records
from harness.table.render import to_text as to_text
from harness.table.render import with_caption as with_caption
