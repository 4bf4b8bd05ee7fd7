from __future__ import annotations

import click
import pandas as pd
import pytest

from benchmarks.cluster import Way, measure, page, same

pytestmark = pytest.mark.cluster


def test_a_few_runs_come_to_the_same_each_way():
    ways = measure(2, 2, few=1)
    assert "Every run is there once" in page(ways)
    assert all(way.wall_s > way.busy_s > 0 for way in ways)


def test_a_run_that_is_lost_or_another_is_told():
    columns = {"seed": [0, 1], "params_hash": ["a", "b"], "test_accuracy": [0.1, 0.2]}
    rows = pd.DataFrame({**columns, "test_loss": [1.0, 2.0]})
    whole = Way("whole", 2, 2.0, 1.0, rows)
    fewer = Way("fewer", 1, 2.0, 1.0, rows.iloc[:1])
    assert same([fewer, whole, Way("again", 2, 2.0, 1.0, rows.iloc[::-1])])
    for wrong in (rows.iloc[:1], rows.assign(params_hash="a"), pd.concat([rows, rows])):
        with pytest.raises(click.ClickException, match="did not come to"):
            same([whole, Way("wrong", 2, 2.0, 1.0, pd.DataFrame(wrong))])
