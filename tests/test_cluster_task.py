"""When a run on a worker is stopped."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from distributed import Status

from harness.cluster.task import watcher


@pytest.mark.parametrize(
    ("status", "state", "is_wanted"),
    [
        (Status.running, "executing", True),
        (Status.paused, "executing", True),  # its memory is full; what it performs goes on
        (Status.running, "cancelled", False),
        (Status.running, None, False),
        (Status.closing, "executing", False),  # it would wait for the run, and bring it nobody
    ],
)
def test_a_run_is_stopped_where_nobody_gets_its_result(
    status: Status, state: str | None, is_wanted: bool
):
    tasks = {} if state is None else {"key": SimpleNamespace(state=state)}
    worker = SimpleNamespace(status=status, state=SimpleNamespace(tasks=tasks))
    assert watcher(worker, "key")() is is_wanted
