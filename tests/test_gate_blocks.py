"""A pair's value comes from its undisturbed quadruples, and what disturbed them has a name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate_pairs import make_pair

from harness.gate.blocks import Pair, what_disturbed


def test_a_disturbed_quadruple_is_left_out_of_its_pair():
    pair = make_pair(0.1)
    assert pair.value() == pytest.approx(0.1) and pair.dropped() == 0.0
    assert make_pair(0.1, steal=0.2).value() is None


def test_one_disturbed_block_drops_its_quadruple_alone():
    pair = make_pair(0.1)
    blocks = list(pair.blocks)
    # a thousand times as long, and others computed meanwhile
    blocks[1] = replace(blocks[1], seconds=100.0, others=0.5)
    told = Pair("a", blocks, pair.calibration)
    assert told.dropped() == 1 / 5 and told.value() == pytest.approx(0.1)
    undropped = Pair("a", [replace(b, others=0.0) for b in blocks], pair.calibration)
    assert undropped.value() == pytest.approx(0.1)  # the median holds one such quadruple


def test_the_order_of_a_quadruple_takes_a_drift_out():
    pair = make_pair()
    drifting = [replace(b, seconds=1.1**i) for i, b in enumerate(pair.blocks)]
    assert Pair("a", drifting, pair.calibration).value() == pytest.approx(0.0)


def test_a_step_is_that_of_its_side():
    assert make_pair(0.1).step_ms("base") == pytest.approx(5.0)
    assert make_pair(0.1).step_ms("head") == pytest.approx(5.0 * 1.1052, rel=1e-3)


def test_what_disturbed_most_blocks_is_named_with_its_share():
    blocks = [*make_pair(others=0.4).blocks, *make_pair(steal=0.2).blocks[:2]]
    assert what_disturbed(blocks) == "other processes computed (40% of the time)"
    assert what_disturbed(make_pair().blocks) == ""
