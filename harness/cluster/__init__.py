"""Runs as tasks of Dask's: `harness run --executor dask`.

The command connects to a scheduler and looks at its workers: those that have the same harness
and plugins get the files that runs need, and may be used. Each run is one task. On its worker
`task` performs it in a process of its own, as anywhere else, and what it says comes back while
it goes on. A lost worker costs the time since the last checkpoint, a lost scheduler the same,
and no run.
"""

from __future__ import annotations

from harness.cluster.asked import Cluster as Cluster
from harness.cluster.asked import parse_resources as parse_resources
from harness.cluster.opened import connected as connected
