"""Which rows a report leaves out because later ones have taken their place."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from stored import failed_row, make_row

from harness.frames import frame_of
from harness.report.superseded import superseded
from harness.rows import Row
from harness.table import counted


def test_a_run_that_was_made_again_is_no_failure_any_more():
    rows = [
        failed_row("mlp", 0, run_id="stopped", run_key="a", status="interrupted"),
        failed_row("mlp", 1, run_id="other code", run_key="old"),
        failed_row("mlp", 2, run_id="still failed"),
        make_row("mlp", seed=0, run_id="resumed", run_key="a", data_fingerprint="f"),
        make_row("mlp", seed=1, run_id="ok", run_key="new"),
        failed_row("mlp", 1, run_id="worse", run_key="new"),
    ]
    assert superseded(rows) == {"stopped", "other code"}


def test_a_repeat_that_failed_later_is_told():
    rows = [
        failed_row("mlp", 0, run_id="before", run_key="a"),
        make_row("mlp", seed=0, run_id="first", run_key="a"),
        failed_row("mlp", 0, run_id="between", run_key="a", status="oom"),
        make_row("mlp", seed=0, run_id="ok", run_key="a"),
        failed_row("mlp", 0, run_id="later", run_key="a", status="oom"),
        failed_row("mlp", 0, run_id="other code", run_key="b"),
    ]
    assert superseded(rows) == {"before", "first", "between"}


def test_a_failure_of_newer_code_is_told_beside_the_older_result():
    rows = [
        failed_row(run_id="made good", run_key="a", jax_version="1"),
        make_row(run_id="result", run_key="b", jax_version="1"),
        failed_row(run_id="failed since", run_key="c", jax_version="2"),
    ]
    assert superseded(rows) == {"made good"}


@pytest.mark.parametrize("kind", ["run", "trial"])
def test_what_never_ended_well_is_told_once_as_it_ended(kind: str):
    def row(run_id: str, status: str, data: str | None = "f") -> Row:
        return failed_row(
            run_id=run_id, run_key="k", kind=kind, status=status, data_fingerprint=data
        )

    rows = [row("unread", "failed", None), row("stopped", "interrupted"), row("end", "failed")]
    assert superseded(rows) == {"unread", "stopped"}
    ok = make_row(run_id="ok", run_key="k", kind=kind, data_fingerprint="f")
    assert superseded([ok, *rows]) == {"unread", "stopped"}
    # a row of other data, or the only one with data, decides what the table is made of
    rows = [row("other", "failed", "e"), row("read", "interrupted"), row("end", "oom", None)]
    assert superseded(rows) == set()


def test_rows_that_are_left_out_do_not_change_which_rows_count():
    random = Random(0)
    rows = []
    for n in range(200):
        seed, code, data = random.choice((0, 1)), random.choice("12"), random.choice("ef")
        status = random.choice(("ok", "failed", "interrupted"))
        read = data if status == "ok" else random.choice((None, data))
        key, own = f"{n % 40} {seed} {code}", {"jax_version": code, "data_fingerprint": read}
        rows.append(make_row(f"m{n % 40}", seed=seed, run_key=key, status=status, **own))
    gone = superseded(rows)
    left = [row for row in rows if row["run_id"] not in gone]
    kept = [*counted(frame_of(left))["run_id"]]
    assert kept == [*counted(frame_of(rows))["run_id"]] and len(left) < 200


def test_a_tuned_run_is_the_same_whatever_was_chosen():
    def tuned(run_id: str, chosen: dict[str, Any], **values: Any) -> Row:
        tune = {"space": {"learning_rate": "1e-4:1e-2:log"}, "budget": 3, "chosen": chosen}
        return make_row(run_id=run_id, tune_trials=3, tune=json.dumps(tune), **values)

    stopped = tuned("stopped", {}, status="interrupted", accuracy=None)
    untuned = failed_row(run_id="untuned")
    done = tuned("done", {"learning_rate": 0.003}, learning_rate=0.003)
    assert superseded([stopped, untuned, done]) == {"stopped"}
    assert superseded([stopped, untuned]) == set()


def test_trials_are_superseded_by_trials_of_their_key_alone():
    rows = [
        failed_row(run_id="stopped", run_key="t", kind="trial"),
        make_row(run_id="first", run_key="t", kind="trial"),
        make_row(run_id="again", run_key="t", kind="trial"),
        failed_row(run_id="diverged", run_key="u", kind="trial", status="diverged"),
        failed_row(run_id="later", run_key="t", kind="trial", status="diverged"),
        make_row(run_id="run"),
    ]
    assert superseded(rows) == {"stopped", "first"}
    assert superseded([]) == set()
