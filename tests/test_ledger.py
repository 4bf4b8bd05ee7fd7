from __future__ import annotations

import json

import numpy as np
import pytest

from harness.ledger import Ledger, ledger_from_json
from harness.recipe import Recipe
from harness.timing import Block


def make() -> Ledger:
    ledger = Ledger(
        wall_s=9.0, wait_s=1.5, eval_s=2.25, checkpoint_s=0.5, observer_s=0.25, resumed=1
    )
    ledger.add(Block(1, 0.5), np.array([0.1], np.float32))
    ledger.add(Block(3, 1 / 3), np.array([0.2, 0.3, 0.4], np.float32))
    ledger.add(Block(4, 0.7), np.array([0.5, 0.6, 0.7, 0.8], np.float32))
    ledger.history.append({"epoch": 1, "test_loss": 0.1 + 0.2})
    ledger.chunks = 2
    ledger.recompiles.names.append("step(float32[3])")
    return ledger


def test_it_survives_the_way_through_json_to_the_bit():
    before = make()
    after = ledger_from_json(json.loads(json.dumps(before.to_json())))
    assert after.to_json() == before.to_json()
    assert after.blocks == before.blocks and after.history == before.history
    assert (after.steps, after.chunks, after.resumed) == (8, 2, 1)
    assert after.observer_s == 0.25
    for one, two in zip(after.losses, before.losses, strict=True):
        np.testing.assert_array_equal(one, two)
    assert after.recompiles.names == ["step(float32[3])"]


def test_an_empty_one_does_too():
    assert ledger_from_json(Ledger().to_json()).to_json() == Ledger().to_json()


def test_steps_since_the_end_of_an_epoch():
    losses, seconds = make().since(4)
    np.testing.assert_array_equal(losses, np.array([0.5, 0.6, 0.7, 0.8], np.float32))
    assert seconds == 0.7
    losses, seconds = make().since(0)
    assert len(losses) == 8 and seconds == pytest.approx(0.5 + 1 / 3 + 0.7)


def test_columns_keep_the_clocks_apart():
    values = make().columns(Recipe(batch_size=2)).values
    busy = 0.5 + 1 / 3 + 0.7
    assert values["train_s"] == pytest.approx(busy)
    assert values["first_step_ms"] == 500.0
    assert (values["eval_s"], values["checkpoint_s"], values["resumed"]) == (2.25, 0.5, 1)
    assert values["observer_s"] == 0.25
    assert values["data_wait_pct"] == pytest.approx(100 * 1.5 / 9)
    assert values["host_overhead_pct"] == pytest.approx(100 * (9 - busy - 1.5) / 9)
    assert (values["recompiles"], values["recompiled"]) == (1, "step(float32[3])")


def test_what_goes_on_outside_is_no_training_time(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("harness.ledger.time.perf_counter", lambda: now[0])
    ledger = Ledger()
    with ledger.training():
        now[0] += 3.0
    now[0] += 2.0
    with ledger.training():
        now[0] += 1.0
    assert ledger.wall_s == 4.0
