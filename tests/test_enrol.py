"""The store knows which rows count, in step with what a look at all of them would say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from stored import failed_row, make_row, make_trial, make_tuned

from harness import schema
from harness.database import writing
from harness.errors import UsageError
from harness.frames import frame_of
from harness.rows import Result, Row
from harness.standing import name_of_cell, name_of_run
from harness.store import Store, open_store
from harness.table import counted, where
from harness.table.counted import unrepeated
from harness.table.read import read_table

TEXTS = (None, "1", "2")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


def parts_of(random: Random) -> str | None:
    """The parts of a key, in one of the forms that harness after harness wrote."""
    if random.random() < 0.3:
        return random.choice((None, "{}"))
    entry = {"source": {"source_hash": random.choice("12")}}
    metrics = {name: entry for name in ("f1", "auc") if random.random() < 0.3}
    tasks = {"classification": random.choice("12")}
    machine = {"harness_code": random.choice("123")}
    told = {"dataset": {"source": {"source_hash": "d"}}, "model": entry, "metrics": metrics,
            "tasks": tasks, "machine": machine}  # fmt: skip
    return json.dumps({k: v for k, v in told.items() if random.random() < 0.9})


def any_row(random: Random) -> Row:
    """A row of few cells, seeds, codes and keys, so that each meets all others."""
    ok = random.random() < 0.6
    values: dict[str, Any] = {
        "seed": random.choice((None, 0, 1, 2)), "key_parts": parts_of(random),
        "run_key": random.choice((None, *(f"key{n}" for n in range(25)))),
        "data_fingerprint": random.choice(TEXTS), "jax_version": random.choice(TEXTS),
        "model_plugin": random.choice(("p==1", "p==1", "p==2")),
        "task": random.choice((None, "classification")),
        "kind": random.choice((None, "run")), "limit": random.choice((None, 100)),
        "status": "ok" if ok else random.choice(("failed", "interrupted")),
        "dataset_variant": random.choice((None, "", "")), "test_loss": random.random(),
        "metrics": random.choice((None, '{"test_f1": 0.5}')),
    }  # fmt: skip
    kind = random.randrange(4)
    model = random.choice(("mlp", "cnn"))
    chosen = {"learning_rate": random.choice((0.1, 0.2)), "model.width": random.choice((8, 9))}
    if kind == 0:
        return make_tuned(model, chosen, **values)
    if kind == 1 and random.random() < 0.5:
        return make_trial(model, 0.5, chosen, **{**values, "kind": "trial"})
    return make_row(model, random.choice(("", "wide")), **{**values, "epochs": 3})


def ids(rows: Any) -> list[str]:
    return [row["run_id"] for row in rows] if isinstance(rows, list) else [*rows["run_id"]]


@pytest.mark.parametrize("chance", range(25))
def test_rows_that_count_are_those_that_all_rows_would_tell(tmp_path, chance: int):
    random = Random(chance)
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        for _ in range(random.choice((5, 40, 120))):
            store.add(Result(row=any_row(random)))
        agree(store)


def test_rows_that_count_are_told_alike_in_every_database(store: Store):
    random = Random(100)
    for _ in range(60):
        store.add(Result(row=any_row(random)))
    agree(store)


def agree(store: Store) -> None:
    frame = frame_of(store.rows())
    assert ids(store.counted()) == ids(counted(frame))
    assert ids(store.unrepeated()) == ids(unrepeated(frame))
    # and are the same when they are all that there is
    assert ids(counted(frame_of(store.counted()))) == ids(store.counted())
    for conditions in (["loss < 0.5"], ["loss > 0.2", "status == 'ok'"], ["loss < 0"]):
        kept = where(frame, conditions)
        assert ids(read_table(store, conditions).frame) == ids(counted(kept))
        assert ids(read_table(store, conditions, by=True).frame) == ids(unrepeated(kept))
        assert read_table(store, conditions).rows == len(kept)


def forget(store: Store, number: int) -> None:
    """What a harness that knows nothing of these tables would leave behind."""
    with writing(store._engine) as connection:
        at = schema.STANDING.c.sequence > number
        connection.execute(sa.delete(schema.STANDING).where(at))
        if not number:
            connection.execute(sa.delete(schema.NEWEST))


@pytest.mark.parametrize("number", [0, 30])
def test_rows_of_an_older_harness_are_caught_up_with(store_url: str, number: int):
    random = Random(7)
    with open_store(store_url) as store:
        for _ in range(60):
            store.add(Result(row=any_row(random)))
        before = ids(store.counted())
        forget(store, number)
    with open_store(store_url) as store:
        assert ids(store.counted()) == before
        agree(store)


def test_a_store_without_these_tables_gets_them_with_their_indexes(store_url: str):
    with open_store(store_url) as store:
        for seed in range(3):
            store.add(Result(row=make_row(seed=seed, run_id=f"{seed}")))
        store.plan([{"run_id": "p", "run_key": "key of no row", "label": "l", "host": "h",
                     "planned_at": "t"}])  # fmt: skip
        with writing(store._engine) as connection:
            for name in ("standing", "codes", "newest"):
                connection.exec_driver_sql(f"DROP TABLE {name}")
            connection.exec_driver_sql("DROP INDEX rows_of_run")
    with open_store(store_url, must_exist=True) as store:
        assert ids(store.counted()) == ["0", "1", "2"] and len(store.lost()) == 1
        indexes = sa.inspect(store._engine).get_indexes("rows")
        assert "rows_of_run" in [index["name"] for index in indexes]


def test_a_row_whose_parts_are_no_parts_is_stored_all_the_same(store: Store):
    odd = ["[]", '{"dataset": 1, "tasks": [], "metrics": {"f1": 2}}', "no JSON"]
    for n, text in enumerate(odd):
        store.add(Result(row=make_row(run_id=f"{n}", seed=n, key_parts=text, tune=text)))
    assert ids(store.counted()) == ["0", "1", "2"]


def test_as_many_rows_are_read_as_a_table_shows(store: Store, monkeypatch: pytest.MonkeyPatch):
    for number in range(40):
        for seed in range(2):
            code: dict[str, Any] = {
                "jax_version": f"{number // 10}",
                "run_key": f"{number // 4} {seed}",
            }
            store.add(Result(row=make_row(seed=seed, train_s=1.0, **code)))
    read: list[int] = []
    fetch = Store._fetch

    def counting(self: Store, query: Any) -> Any:
        found = fetch(self, query)
        read.append(len(found))
        return found

    monkeypatch.setattr(Store, "_fetch", counting)
    assert len(store.counted()) == 2
    assert len(store.of_keys(["9 0", "9 1"])) == 2
    assert len(store.newest([name_of_run(make_row()), name_of_cell(make_row())])) == 2
    assert store.lost() == [] and sum(read) < 12
    read.clear()
    with pytest.raises(UsageError, match="and 72 more"):
        store.find("no such run")
    assert sum(read) < 30


def test_a_failure_takes_no_result_away_and_a_new_code_takes_all(store: Store):
    store.add(Result(row=make_row(run_id="old 0", seed=0, jax_version="1")))
    store.add(Result(row=make_row(run_id="old 1", seed=1, jax_version="1")))
    store.add(Result(row=failed_row(run_id="failed", seed=0, jax_version="2")))
    assert ids(store.counted()) == ["old 0", "old 1"]
    store.add(Result(row=make_row(run_id="new", seed=0, jax_version="2")))
    assert ids(store.counted()) == ["new"]
    store.add(Result(row=make_row(run_id="back", seed=0, jax_version="1")))
    assert ids(store.counted()) == ["old 1", "back"]
