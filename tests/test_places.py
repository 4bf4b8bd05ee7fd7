from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest

from benchmarks.places import PLACES, Found, Place, page, perform

HERE = Place("here")
ROWS = pd.DataFrame(
    {
        "model": ["gru", "gru"],
        "test_accuracy": [0.5, 0.625],
        "params_hash": ["a", "b"],
    }
)
LOSSES = [np.array([2.0, 1.5], np.float32), np.array([2.0, 1.0], np.float32)]
FIRST = Found(HERE, ROWS, LOSSES)


@pytest.mark.cluster
def test_one_suite_comes_to_the_same_in_every_place(tmp_path: Path):
    found = [
        perform(place, tmp_path, ["mean_pool"], 2, epochs=1, limit=256, batch_size=64)
        for place in PLACES
    ]
    assert page(found).count("| mean_pool |") == len(PLACES)


def test_a_difference_is_told_as_it_is():
    rows = ROWS.assign(test_accuracy=[0.5, 0.75], params_hash=["a", "c"])
    other = Found(Place("there", 0.1), rows, [LOSSES[0], LOSSES[1] + np.float32(0.0625)])
    [line] = [line for line in page([FIRST, other]).splitlines() if "| there |" in line]
    assert line == "| gru | there | 0.5000 0.7500 | 0.1250 | 6.2e-02 | no |"


def test_other_bits_are_an_error_where_they_have_to_be_the_same():
    with pytest.raises(click.ClickException, match="gru, there: losses differ by 0"):
        rows = ROWS.assign(params_hash=["a", "c"])
        page([FIRST, Found(Place("there"), rows, LOSSES)])


def test_losses_further_apart_than_the_tolerance_are_an_error():
    losses = [LOSSES[0], LOSSES[1] + np.float32(0.25)]
    with pytest.raises(click.ClickException, match="losses differ by 0.25"):
        page([FIRST, replace(FIRST, place=Place("there", 0.1), losses=losses)])
