"""Comparisons: what stored runs show, and what they leave open.

`Evidence` is which test examples each run got right. From it come intervals of accuracies
(`mean_interval`), differences of two lines with their p-values (`difference`, `family`), ranks
with ties, the Pareto front and the time to an accuracy. All of it is arithmetic on arrays, but
for `read_evidence`, which asks the store. docs/method.md says how and why.
"""

from harness.comparison.evidence import Evidence as Evidence
from harness.comparison.evidence import read_evidence as read_evidence
from harness.comparison.families import Pair as Pair
from harness.comparison.families import best as best
from harness.comparison.families import family as family
from harness.comparison.families import holm as holm
from harness.comparison.families import ranks as ranks
from harness.comparison.families import ranks_over as ranks_over
from harness.comparison.fronts import front as front
from harness.comparison.fronts import time_to_target as time_to_target
from harness.comparison.intervals import Difference as Difference
from harness.comparison.intervals import Interval as Interval
from harness.comparison.intervals import difference as difference
from harness.comparison.intervals import mean_interval as mean_interval
from harness.comparison.intervals import seeds_interval as seeds_interval
