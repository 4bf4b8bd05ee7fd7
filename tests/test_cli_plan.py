from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.cli.plan import clock, to_text
from harness.paths import checkpoint_folder

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


def test_explain_gives_each_reason_and_the_key(call: Call):
    text = call("--explain").stdout
    assert text.count("    never run\n") == 2 and '"jax_version"' in text
    assert "2 runs, 2 to perform; of 2 the store does not tell the time" in text


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
             "checkpoint": False, "key_parts": {}}  # fmt: skip
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
