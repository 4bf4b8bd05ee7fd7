"""What a worker is told to do."""

from __future__ import annotations

from dataclasses import replace

from performed import runs_of

from harness.cluster.order import Order, order_from_json
from harness.deadlines import Limits
from harness.paths import cache_dir
from harness.registry import Registry


def test_an_order_comes_back_as_it_was(known: Registry):
    (run,) = runs_of(known, "mean_pool")
    order = Order(
        run=run, settings={"resume": False}, limits=Limits(5.0, {"train": 1.0}),
        place={"commit": None}, paths={"a": "b"}, environment={"XLA_FLAGS": ""}, exclusive=True,
    )  # fmt: skip
    assert order_from_json(order.to_json()) == order


def test_a_run_reads_its_own_copies_and_its_row_does_not_say_so(known: Registry):
    (run,) = runs_of(known, "mean_pool")
    dataset = replace(run.dataset, params={"path": "reviews.csv", "size": 3})
    order = Order(
        run=replace(run, dataset=dataset), settings={}, paths={"reviews.csv": "shipped/a/r.csv"}
    )
    here = order.run_here()
    copy = str(cache_dir() / "shipped/a/r.csv")
    assert here.dataset.params == {"path": copy, "size": 3}
    assert order.run.dataset.params["path"] == "reviews.csv"
