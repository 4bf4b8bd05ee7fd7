from __future__ import annotations

from pathlib import Path

from benchmarks.scale_plan import costs


def test_a_plan_is_shown_performed_and_shown_again(tmp_path: Path):
    found = list(costs(10, tmp_path))
    assert len(found) == 4 and all(c.seconds > 0 and c.peak_mib > 10 for c in found)
