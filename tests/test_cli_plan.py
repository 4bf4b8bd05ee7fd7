from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kit import NET, registry_of
from kit import WORDS as DATA
from stored import make_row

from harness.api import Options
from harness.cli import cli
from harness.cli.plan import clock, describe_cells, to_text
from harness.paths import checkpoint_folder
from harness.plan import Run
from harness.resume import State
from harness.suites import Suite
from harness.tuning import tuned_cells

Call = Callable[..., Result]
WORDS = ("run", "-d", "digits", "-m", "majority", "-m", "mean_pool", "--epochs", "1",
         "--limit", "200")  # fmt: skip


@pytest.fixture
def call(tmp_path: Path) -> Call:
    url = f"sqlite:///{tmp_path}/rows.db"
    return lambda *words: CliRunner().invoke(
        cli, [*WORDS, "--store", url, *words], catch_exceptions=False
    )


def records(call: Call, *words: str) -> list[dict]:
    return json.loads(call(*words, "--dry-run", "--format", "json").stdout)


def test_a_dry_run_says_what_is_stored_and_what_would_be_done(call: Call, tmp_path: Path):
    assert [(r["state"], r["action"]) for r in records(call)] == [("missing", "perform")] * 2
    assert not (tmp_path / "rows.db").exists()
    assert call("-m", "majority").exit_code == 0
    assert [(r["state"], r["action"]) for r in records(call)] == [("stored", "perform")] * 2
    assert [r["action"] for r in records(call, "--resume")] == ["reuse", "reuse"]
    assert [r["action"] for r in records(call, "--rerun", "failed")] == ["reuse", "reuse"]
    found = records(call, "--resume", "--seeds", "2")
    assert [r["action"] for r in found] == ["reuse", "perform", "reuse", "perform"]
    assert all(r["estimate_s"] > 0 for r in found)
    left_out = records(call, "--rerun", "failed", "--seeds", "2")
    assert [r["action"] for r in left_out] == ["reuse", "leave out", "reuse", "leave out"]


def test_explain_gives_each_reason_and_no_key_of_many_runs(call: Call):
    *_, last = text = call("--explain").stdout.splitlines()
    assert text[1] == text[3] == "    never run" and len(text) == 5
    assert last == "2 runs, 2 to perform; of 2 the store does not tell the time"


def test_explain_gives_the_key_of_a_single_run_a_part_a_line():
    parts = {"recipe": {"epochs": 3}, "seed": 0}
    assert to_text([record(key_parts=parts)], explain=True).splitlines()[1:-1] == [
        "    a 1 -> 2", "    b 1 -> 2",
        "    key {", '      "recipe": {', '        "epochs": 3', "      },", '      "seed": 0',
        "    }",
    ]  # fmt: skip
    assert "key" not in to_text([record(key_parts=parts)] * 2, explain=True)
    assert "key" not in to_text([record(key_parts=parts)], explain=False)


def test_the_key_names_the_data_and_the_device_that_a_result_was_held_against(call: Call):
    assert [r["key_parts"]["device_kind"] for r in records(call)] == [None, None]
    assert call("-m", "majority").exit_code == 0
    keys = [r["key_parts"] for r in records(call, "--explain")]
    assert [key["device_kind"] for key in keys] == ["cpu", "cpu"]
    assert keys[0]["data_fingerprint"] and "jax_version" in keys[0]["machine"]


def test_a_checkpoint_that_would_be_taken_up_is_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    first, second = records(call, "--resume")
    (checkpoint_folder(first["run_key"]) / "40").mkdir(parents=True)
    (checkpoint_folder(second["run_key"]) / "40.tmp").mkdir(parents=True)
    assert [r["checkpoint"] for r in records(call, "--resume")] == [True, False]
    assert call("--resume", "--dry-run").stdout.count("goes on at its checkpoint") == 1
    # a plan that reuses nothing throws it away
    assert [r["checkpoint"] for r in records(call)] == [False, False]


def record(**values) -> dict:
    usual = {"state": "stale", "action": "perform", "run": "digits x mlp, seed 0",
             "recipe": "defaults", "why": ["a 1 -> 2", "b 1 -> 2"], "estimate_s": 90.0,
             "checkpoint": False, "key_parts": {}, "kind": "run", "count": 1}  # fmt: skip
    return usual | values


def test_a_line_gives_the_first_reason_and_the_time():
    text = to_text([record(), record(action="reuse", why=[], estimate_s=5.0)], explain=False)
    assert text.splitlines() == [
        "stale  perform  digits x mlp, seed 0  defaults  a 1 -> 2 and 1 more  about 1 min 30 s",
        "stale  reuse  digits x mlp, seed 0  defaults  about 5 s",
        "2 runs, 1 to perform, about 1 min 30 s",
    ]


def test_times_as_a_person_says_them():
    assert [clock(s) for s in (0.4, 59.4, 60, 3599.4, 3600, 90_000)] == [
        "0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "25 h 0 min",
    ]  # fmt: skip


def test_resume_and_rerun_all_contradict_each_other(call: Call):
    from harness.errors import UsageError

    with pytest.raises(UsageError, match="use one of them"):
        call("--resume", "--rerun", "all")
    with pytest.raises(UsageError, match="did you mean 'compile'"):
        call("--phase-timeout", "compil=3")


TUNED = ("run", "-d", "digits", "-m", "majority", "--epochs", "2", "--limit", "200",
         "--batch-size", "64", "--tune", "learning_rate", "--budget", "4", "--seeds", "3",
         "--in-process")  # fmt: skip


def test_a_tuned_plan_is_told_as_far_as_the_store_knows_it(tmp_path: Path):
    def call(*words: str) -> Result:
        url = f"sqlite:///{tmp_path}/rows.db"
        return CliRunner().invoke(cli, [*TUNED, "--store", url, *words], catch_exceptions=False)

    text = call("--dry-run").stdout.splitlines()
    assert "digits x majority, trial 3, 1 epoch, learning_rate=0.01" in text[3]
    assert text[3].count("0.01") == 1
    later = "digits x majority, then 2 trials of 2 epochs, 3 runs of the chosen values"
    assert text[4].startswith("open") and later in text[4]
    assert text[5] == ("9 trials and runs, 9 to perform; of 9 the store does not tell the time")
    assert text[6:] == ["1 cell: 6 trials, 8 epochs of training, then 3 runs"]
    said = call()
    assert said.exit_code == 0, said.stderr
    assert "[1/9]" in said.stderr and "[9/9]" in said.stderr
    assert "trial" not in said.stdout.replace("best of 4 trials", "")
    found = json.loads(call("--resume", "--dry-run", "--format", "json").stdout)
    assert [(r["kind"], r["action"]) for r in found] == [
        *[("trial", "reuse")] * 6, *[("run", "reuse")] * 3,
    ]  # fmt: skip
    # of other seeds the trials are known, and so is what they choose
    more = json.loads(call("--seeds", "4", "--resume", "--dry-run", "--format", "json").stdout)
    assert [r["action"] for r in more] == ["reuse"] * 9 + ["perform"]
    # what is not known yet has a time all the same
    *first, rest = call("--budget", "5", "--dry-run").stdout.splitlines()[:-2]
    assert len(first) == 5 and "about" in rest


@pytest.mark.parametrize(
    ("state", "wanted"), [("timeout", "perform"), ("missing", "leave out"), ("ok", "reuse")]
)
def test_rerun_failed_does_a_cell_over_of_which_something_failed(
    state: str, wanted: str, monkeypatch: pytest.MonkeyPatch
):
    suite = Suite(datasets=("words",), models=("net",), tune={"learning_rate": ""}, budget=2)
    cells = tuned_cells(suite, registry_of(NET, DATA), key_parts={})

    def states(runs: Sequence[Run]) -> list[State]:
        row = make_row(status=state, val_accuracy=0.5, val_loss=1.0)
        return [State("stored", row) if state == "ok" else
                State("missing", None if state == "missing" else row)] * len(runs)  # fmt: skip

    monkeypatch.setattr("harness.cli.plan._states", lambda url, how: nullcontext(states))
    found = describe_cells(cells, "sqlite:///none", Options(rerun="failed"))
    assert {r["action"] for r in found} == {wanted}
