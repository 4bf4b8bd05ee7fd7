from __future__ import annotations

from performed import runs_of

from harness.registry import Registry
from harness.taken_up import TakenUp


def test_a_run_that_was_planned_before_gets_its_identity_back(known: Registry):
    first, second = runs_of(known, "mean_pool", seeds=2)
    taken_up = TakenUp({first.run_key: "planned-then"})
    found = taken_up([first, second])
    assert [run.run_id for run in found] == ["planned-then", second.run_id]
    assert [run.run_key for run in found] == [first.run_key, second.run_key]
    assert taken_up.new(found) == [second]
