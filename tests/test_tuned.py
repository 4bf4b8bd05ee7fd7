"""How the cells of a suite that tunes are performed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kit import NET, POOL, WORDS, registry_of

from harness import resume, runner, tuned
from harness.events import Ended, Measured, Phase
from harness.fingerprints import Now
from harness.plan import Run
from harness.rows import Result, Row
from harness.store import Store, open_store
from harness.suites import Suite
from harness.tuning import TunedCell, tuned_cells

LEARNING_RATE = {"learning_rate": ""}
Rates = Callable[[float, int], float]


def near_one_percent(rate: float, epochs: int) -> float:
    """The nearer the learning rate to 0.002, the better; an accuracy."""
    return 1 - abs(rate - 0.002) * 50


@dataclass
class Bench:
    """Performs cells without training anything.

    Attributes:
      accuracy: what a learning rate and a number of epochs come to.
      bad: how runs end by their label, which is searched for these words.
      performed: the labels of what was, in order.
    """

    accuracy: Rates = near_one_percent
    bad: Mapping[str, Ended | BaseException] = field(default_factory=dict)
    performed: list[str] = field(default_factory=list)
    saved: list[Result] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    numbers: list[tuple[int, int]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def execute(self, run: Run, log: Path, heard: Callable[..., None]) -> Ended | None:
        self.performed.append(run.label)
        heard(Phase("train"))
        value = self.accuracy(run.recipe.learning_rate, run.recipe.epochs)
        measured: dict[str, Any] = {"val_accuracy": value, "val_loss": 1 - value}
        if run.kind == "run":
            measured |= {"test_accuracy": value}
        heard(Measured({**measured, "data_fingerprint": "print", "device_kind": "cpu"}))
        for word, end in self.bad.items():
            if word in run.label:
                if isinstance(end, Ended):
                    return end
                raise end
        return Ended("ok")

    def perform(self, cells: Sequence[TunedCell], stored: Any = None) -> list[Row]:
        bench = self

        class Listener(runner.Silent):
            def note(self, text: str) -> None:
                bench.notes.append(text)

            def started(self, run: Run, number: int, total: int) -> None:
                bench.numbers.append((number, total))

            def ended(self, run: Run, row: Row) -> None:
                bench.ended.append(row["status"])

        performance = runner.Performance(
            performer=runner.Performer(name="process", execute=self.execute),
            save=self.saved.append,
            listener=Listener(), total=sum(cell.count for cell in cells),
        )  # fmt: skip
        driver = tuned.Driver(
            performance=performance,
            stored=stored or (lambda runs: {}),
            announce=lambda runs: self.announced.extend(run.label for run in runs),
        )
        rows = [row for cell in cells for row in driver.perform(cell)]
        performance.close()
        assert [result.row for result in self.saved] == [r for r in rows if r in self._own()]
        return rows

    def _own(self) -> list[Row]:
        return [result.row for result in self.saved]


def cells_of(
    *models: str, seeds: int = 2, tune: Mapping[str, str] = LEARNING_RATE, budget: int = 4
) -> list[TunedCell]:
    suite = Suite(
        datasets=("words",), models=models, seeds=tuple(range(seeds)), recipe={"epochs": 2},
        tune=tune, budget=budget,
    )  # fmt: skip
    return tuned_cells(suite, registry_of(NET, POOL, WORDS), key_parts={"host": "here"})


def told(rows: Sequence[Row]) -> list[tuple[str, str, float]]:
    return [(row["kind"], row["status"], row["learning_rate"]) for row in rows]


TRIALS = [0.0001, 0.000464, 0.00215, 0.01]


def test_trials_come_first_and_the_runs_have_the_values_of_the_best():
    bench = Bench()
    rows = bench.perform(cells_of("net"))
    assert told(rows) == [
        *(("trial", "ok", rate) for rate in TRIALS),
        *(("trial", "ok", rate) for rate in (0.00215, 0.000464)),
        *(("run", "ok", 0.00215),) * 2,
    ]
    assert [row["epochs"] for row in rows] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert {row["seed"] for row in rows if row["kind"] == "run"} == {0, 1}
    chosen = json.loads(rows[-1]["tune"])
    assert chosen["chosen"] == {"learning_rate": 0.00215}
    assert chosen["val_accuracy"] == rows[4]["val_accuracy"]
    assert bench.numbers == [(n, 8) for n in range(1, 9)]
    assert bench.announced == bench.performed


def test_a_choice_at_the_end_of_its_range_is_noted_and_kept():
    bench = Bench(lambda rate, epochs: rate)
    rows = bench.perform(cells_of("net"))
    said = "words x net: learning_rate=0.01 is at the end of its range; widen it"
    assert bench.notes == [said]
    assert json.loads(rows[-1]["tune"])["at_end"] == ["learning_rate"]
    bench = Bench()
    assert json.loads(bench.perform(cells_of("net"))[-1]["tune"])["at_end"] == []
    assert bench.notes == []


def test_ctrl_c_is_told_in_one_line():
    bench = Bench(bad={"net, trial 2, 1 epoch": KeyboardInterrupt()})
    bench.perform(cells_of("net", "pool"))
    assert bench.ended == ["ok", "ok", "interrupted"]
    assert bench.notes == ["stopped; 2 done, 14 not; --resume goes on"]


def test_what_more_epochs_change_is_chosen_on():
    # at the end of all epochs a small rate is better
    bench = Bench(lambda rate, epochs: near_one_percent(rate, 1) * (1 if epochs == 1 else -1))
    assert {row["learning_rate"] for row in bench.perform(cells_of("net"))[-2:]} == {0.000464}


def test_each_cell_is_tuned_before_the_next_one_begins():
    rows = Bench().perform(cells_of("net", "pool", seeds=1))
    assert [(r["model"], r["kind"]) for r in rows] == [
        (model, kind) for model in ("net", "pool") for kind in ["trial"] * 6 + ["run"]
    ]


def test_a_trial_that_is_not_ok_costs_itself_alone():
    bad = {"1 epoch, learning_rate=0.00215": Ended("diverged", "Diverged", "loss nan")}
    bench = Bench(bad=bad)
    rows = bench.perform(cells_of("net"))
    assert told(rows)[2] == ("trial", "diverged", 0.00215)
    assert {row["learning_rate"] for row in rows if row["kind"] == "run"} == {0.000464}
    assert {row["status"] for row in rows if row["kind"] == "run"} == {"ok"}


def test_a_cell_without_an_ok_trial_leaves_rows_that_say_so():
    bad = {"net, trial": Ended("diverged", "Diverged", "loss inf at step 3")}
    bench = Bench(bad=bad)
    rows = bench.perform(cells_of("net", "pool"))
    runs = [row for row in rows if (row["model"], row["kind"]) == ("net", "run")]
    assert [(r["seed"], r["status"], r["error_type"]) for r in runs] == [
        (0, "diverged", "Diverged"), (1, "diverged", "Diverged"),
    ]  # fmt: skip
    said = "none of 4 trials was ok; the first: loss inf at step 3"
    assert {row["error_message"] for row in runs} == {said}
    assert {row["log_path"] for row in runs} == {rows[0]["log_path"]}
    assert [json.loads(row["tune"])["chosen"] for row in runs] == [{}, {}]
    assert [r["status"] for r in rows if r["model"] == "pool"] == ["ok"] * 8
    # the two trials of the second rung were not needed
    assert [number for number, _ in bench.numbers] == [1, 2, 3, 4, 7, 8, *range(9, 17)]


def test_a_model_that_cannot_serve_the_data_is_asked_once():
    bench = Bench(bad={"net, trial": Ended("skipped", "Unsupported", "no words here")})
    rows = bench.perform(cells_of("net"))
    assert [(r["kind"], r["status"]) for r in rows] == [
        ("trial", "skipped"), ("run", "skipped"), ("run", "skipped"),
    ]  # fmt: skip
    assert rows[-1]["error_message"] == "its first trial: no words here"
    assert bench.announced == bench.performed == ["words x net, trial 0, 1 epoch, "
                                                  "learning_rate=0.0001"]  # fmt: skip


@pytest.mark.parametrize("widths", ["3,2,4", "2,3,4", "2,4,3"])
def test_a_value_that_a_model_does_not_take_costs_its_own_trial(widths: str):
    bench = Bench(bad={"width=3": Ended("skipped", "Unsupported", "3 does not divide 8")})
    rows = bench.perform(cells_of("net", tune={"model.width": widths}, budget=3))
    trials, runs = rows[:3], rows[3:]
    assert [row["status"] for row in trials].count("ok") == 2 and len(runs) == 2
    assert {row["status"] for row in runs} == {"ok"}
    first = next(int(width) for width in widths.split(",") if width != "3")
    assert {json.loads(row["model_params"])["width"] for row in runs} == {first}


def test_a_model_that_takes_none_of_the_values_has_runs_that_failed():
    bench = Bench(bad={"net, trial": Ended("skipped", "RefusedValue", "use 2, 4 or 8")})
    rows = bench.perform(cells_of("net", tune={"model.width": "3,5"}, budget=2))
    assert [(r["kind"], r["status"]) for r in rows] == [
        ("trial", "skipped"), ("trial", "skipped"), ("run", "failed"), ("run", "failed"),
    ]  # fmt: skip
    said = "none of 2 trials was ok; the first: use 2, 4 or 8"
    assert {row["error_message"] for row in rows[2:]} == {said}


@pytest.mark.parametrize("where", ["trial 2, 1 epoch", "trial 3, 1 epoch", "trial 1, 2 epochs"])
def test_ctrl_c_in_a_trial_leaves_a_row_for_every_run(where: str):
    bench = Bench(bad={where: KeyboardInterrupt()})
    rows = bench.perform(cells_of("net", "pool"))
    runs = [row for row in rows if row["kind"] == "run"]
    assert [(r["model"], r["seed"], r["status"]) for r in runs] == [
        (model, seed, "interrupted") for model in ("net", "pool") for seed in (0, 1)
    ]
    assert where in bench.performed[-1]  # nothing began behind it
    assert "not started: stopped by Ctrl-C" in {row["error_message"] for row in runs}
    first = [row["status"] for row in rows if row["kind"] == "trial" and row["epochs"] == 1]
    assert len(first) == 4  # those that were planned then


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(resume, "now_of", lambda data: [Now("print", "cpu") for _ in data])
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        yield opened


def stands(store: Store) -> Callable[[Sequence[Run]], dict[str, Row]]:
    lookup = resume.Lookup(store)

    def stored(runs: Sequence[Run]) -> dict[str, Row]:
        found = zip(runs, lookup.states(runs), strict=True)
        return {r.run_key: s.row for r, s in found if s.word == "stored" and s.row}

    return stored


def keep(store: Store, bench: Bench) -> None:
    for result in bench.saved:
        store.add(result)


def test_a_sweep_that_was_stopped_goes_on_where_it_was(store: Store):
    cells = cells_of("net", "pool")
    whole = Bench()
    rows = whole.perform(cells)
    stopped = Bench(bad={"pool, trial 1, 1 epoch": KeyboardInterrupt()})
    stopped.perform(cells)
    keep(store, stopped)
    rest = Bench()
    again = rest.perform(cells, stands(store))
    assert told(again) == told(rows)
    assert rest.performed == whole.performed[whole.performed.index(stopped.performed[-1]) :]
    keep(store, rest)
    last = Bench()
    assert [row["run_id"] for row in last.perform(cells, stands(store))] == [
        row["run_id"] for row in again
    ]
    assert last.performed == []


def test_after_ctrl_c_stored_rows_still_stand_for_theirs(store: Store):
    net, pool = cells_of("net", "pool")
    before = Bench()
    before.perform([pool])
    keep(store, before)
    stopped = Bench(bad={"net, trial 0, 1 epoch": KeyboardInterrupt()})
    rows = stopped.perform([net, pool], stands(store))
    assert {r["status"] for r in rows if r["model"] == "pool"} == {"ok"}
    assert stopped.performed == ["words x net, trial 0, 1 epoch, learning_rate=0.0001"]


def test_a_stored_trial_that_diverged_is_not_tried_again_but_one_that_failed_is(store: Store):
    (cell,) = cells_of("net")
    bad = {"trial 3, 1 epoch": Ended("diverged"), "trial 0, 1 epoch": Ended("timeout")}
    first = Bench(bad=bad)
    first.perform([cell])
    keep(store, first)
    again = Bench()
    again.perform([cell], stands(store))
    assert again.performed == ["words x net, trial 0, 1 epoch, learning_rate=0.0001"]


def test_another_seed_reuses_the_trials(store: Store):
    bench = Bench()
    bench.perform(cells_of("net", seeds=1))
    keep(store, bench)
    more = Bench()
    more.perform(cells_of("net", seeds=2), stands(store))
    assert more.performed == ["words x net, seed 1, learning_rate=0.00215"]


def walked(store: Store, cell: TunedCell) -> tuned.Walk:
    return tuned.walk(cell, resume.Lookup(store).states)


def test_a_walk_ends_where_the_store_does_not_know_on(store: Store):
    (cell,) = cells_of("net")
    found = walked(store, cell)
    assert [run.label for run, _ in found.known] == [run.label for run in cell.first]
    assert [count for count, _ in found.later] == [2, 2]  # trials, runs
    assert not found.whole and not found.failed
    bench = Bench(bad={"2 epochs": KeyboardInterrupt()})
    bench.perform([cell])
    keep(store, bench)
    found = walked(store, cell)
    assert [state.word for _, state in found.known] == ["stored"] * 4 + ["missing"] * 2
    assert [count for count, _ in found.later] == [2]
    assert found.failed and not found.whole
    rest = Bench()
    rest.perform([cell], stands(store))
    keep(store, rest)
    found = walked(store, cell)
    assert (len(found.known), found.whole, found.failed) == (8, True, False)


def test_a_walk_through_a_cell_without_an_ok_trial_ends_at_its_failed_runs(store: Store):
    (cell,) = cells_of("net")
    bench = Bench(bad={"trial": Ended("diverged", "Diverged", "loss inf")})
    bench.perform([cell])
    keep(store, bench)
    found = walked(store, cell)
    assert [(run.kind, state.word) for run, state in found.known] == [
        *[("trial", "stored")] * 4, *[("run", "missing")] * 2,
    ]  # fmt: skip
    assert found.failed and not found.later


def test_a_walk_goes_past_a_trial_that_was_skipped(store: Store):
    (cell,) = cells_of("net", tune={"model.width": "3,2,4"}, budget=3)
    bench = Bench(bad={"width=3": Ended("skipped", "Unsupported", "3 does not divide 8")})
    bench.perform([cell])
    keep(store, bench)
    found = walked(store, cell)
    assert [run.kind for run, _ in found.known] == ["trial"] * 3 + ["run"] * 2
    assert found.whole and not found.failed
    again = Bench()
    again.perform([cell], stands(store))
    assert again.performed == []


def test_a_walk_asks_for_no_trial_behind_one_that_decides_for_all(store: Store):
    (cell,) = cells_of("net")
    bench = Bench(bad={"net, trial": Ended("skipped", "Unsupported", "no words here")})
    bench.perform([cell])
    keep(store, bench)
    found = walked(store, cell)
    assert [(run.kind, state.word) for run, state in found.known] == [
        ("trial", "stored"), *[("run", "missing")] * 2,
    ]  # fmt: skip
    assert found.failed and not found.later
