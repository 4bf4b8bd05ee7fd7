from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale_cluster import measure
from harness import sources
from harness.cluster.greeting import needed
from harness.cluster.shipping import root_of

pytestmark = pytest.mark.cluster


def test_workers_are_greeted_and_perform_tasks(tmp_path: Path):
    file = tmp_path / "data.bin"
    file.write_bytes(b"some")
    told = measure(2, root_of(file), needed(sources.find_sources()))
    assert told.workers == 2 and told.tasks_s > 0
