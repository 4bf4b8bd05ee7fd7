"""Runs of several seeds in one program: a row each, whatever happens to one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from performed import perform

from harness import machine, plan, runner, suites
from harness.events import Array, Collector, Ended, Measured, Of, Phase, from_line, to_line
from harness.gathered import Gathered, as_one, programs_of
from harness.perform import load_chosen
from harness.store import open_store
from harness.workers import in_worker


def runs_of(
    known, *models: str, seeds: int = 3, vmap_seeds: bool = True
) -> tuple[plan.Run, ...]:
    suite = suites.Suite(
        datasets=("digits",), models=models, seeds=tuple(range(seeds)), vmap_seeds=vmap_seeds,
        recipe={"epochs": 1, "limit": 200, "batch_size": 64},
    )  # fmt: skip
    return tuple(plan.expand(suite, known, key_parts=machine.key_parts()))


def here(known, runs):
    return runner.in_process(load_chosen(runs, known), settings={})


def test_a_vmapped_run_has_a_key_of_its_own_and_others_keep_theirs(known):
    alone, vmapped = runs_of(known, "mean_pool", vmap_seeds=False), runs_of(known, "mean_pool")
    assert not {r.run_key for r in alone} & {r.run_key for r in vmapped}
    assert "together" not in alone[0].key_parts
    assert vmapped[1].key_parts["together"] == [0, 1, 2]
    assert runs_of(known, "mean_pool", seeds=2)[0].run_key != vmapped[0].run_key
    assert [r.to_row()["vmap_seeds"] for r in (alone[0], vmapped[0])] == [1, 3]
    # one seed has nobody to be trained with
    assert runs_of(known, "mean_pool", seeds=1)[0].run_key == alone[0].run_key


def test_a_run_with_the_others_of_its_program_crosses_a_pipe(known):
    lead = as_one(runs_of(known, "mean_pool"))
    assert plan.run_from_json(plan.run_to_json(lead)) == lead
    assert lead.label == "digits x mean_pool, seeds 0 1 2 in one program"
    assert [one.seed for one in lead.others] == [1, 2]


def test_what_is_said_of_one_seed_crosses_a_pipe():
    for said in (Measured({"test_loss": 0.5}), Array("a", b"12"), Ended("ok")):
        assert from_line(to_line(Of(2, said))) == Of(2, said)
    with pytest.raises(KeyError):
        from_line('{"event": "Of", "seed": 1, "said": {"event": "Of", "seed": 1}}')


def test_how_one_seed_ended_stands_whatever_ends_the_others():
    gathered = Gathered({0: Collector({}), 1: Collector({})})
    diverged = Of(1, Ended("diverged", "Diverged", "nan"))
    nobodys = Of(7, Ended("failed"))
    for event in (
        Phase("train"),
        diverged,
        Phase("evaluate"),
        nobodys,
        Measured({"eval_s": 1.0}),
    ):
        gathered.add(event)
    assert gathered.ended is None
    gathered.ended = Ended("timeout", "Timeout", "late")
    rows = [one.result().row for one in gathered.collectors.values()]
    assert [(r["status"], r["phase"], r["eval_s"]) for r in rows] == [
        ("timeout", "evaluate", 1.0), ("diverged", "train", 1.0),
    ]  # fmt: skip


def test_each_seed_leaves_a_row_like_that_of_its_own_run(known):
    runs, single = (runs_of(known, "mean_pool", vmap_seeds=v) for v in (True, False))
    rows, saved = perform(runs, here(known, runs))
    alone, _ = perform(single, here(known, single))
    for row, other in zip(rows, alone, strict=True):
        assert row["status"] == "ok" and row["vmap_seeds"] == 3 and row["seed"] == other["seed"]
        assert row["test_loss"] == pytest.approx(other["test_loss"], abs=1e-4)
        assert row["hlo_hash"] != other["hlo_hash"]
    assert len({row["params_hash"] for row in rows}) == 3
    assert [s.row["run_id"] for s in saved] == [r.run_id for r in runs]
    assert all("test_predicted" in s.arrays and len(s.epochs) == 1 for s in saved)


def test_stored_rows_stand_and_the_program_is_the_same_again(known):
    runs = runs_of(known, "mean_pool")
    first, _ = perform(runs, here(known, runs))
    stored = {runs[k].run_key: first[k] for k in (0, 2)}
    again, saved = perform(runs, here(known, runs), stored=stored)
    assert [s.row["seed"] for s in saved] == [1]
    assert again[0] is first[0] and again[1]["params_hash"] == first[1]["params_hash"]
    assert len(programs_of(runs)) == 1


def test_a_worker_that_dies_leaves_a_row_for_each_seed(known):
    rows, saved = perform(runs_of(known, "odd[how=segv]", seeds=2), in_worker())
    assert [(row["seed"], row["status"]) for row in rows] == [(0, "failed"), (1, "failed")]
    assert len({row["log_path"] for row in rows}) == 1 and len(saved) == 2


def test_rows_of_an_older_store_were_trained_alone(known, tmp_path: Path):
    runs = runs_of(known, "majority", seeds=1)
    _, (result,) = perform(runs, here(known, runs))
    result.row["vmap_seeds"] = None
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        store.add(result)
        assert store.rows()[0]["vmap_seeds"] == 1
