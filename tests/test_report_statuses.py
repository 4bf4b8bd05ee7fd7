"""Every run and how it ended."""

from __future__ import annotations

from pathlib import Path

from stored import failed_row, make_row, make_trial

from harness.report.statuses import LOG_LINES, LOGS, read_runs


def test_runs_that_are_not_ok_come_first_with_the_reason():
    rows = [
        make_row(run_id="a", started_at="2026-11-26T12:34:56Z"),
        failed_row("rnn", 1, run_id="b", error_type="ValueError", error_message="no\nway",
                   phase="construct"),
        failed_row("rnn", 2, run_id="c", kind="trial"),
    ]  # fmt: skip
    runs = read_runs(rows)
    assert [run.run_id for run in runs] == ["b", "c", "a"]
    assert runs[0].why == "ValueError: no way (phase: construct)"
    assert (runs[1].kind, runs[1].why, runs[1].log) == ("trial", "", "no log was kept")
    assert (runs[2].log, runs[2].started_at) == ("", "2026-11-26 12:34")


def test_the_end_of_a_log_is_shown_and_one_that_is_gone_is_told(shared_cache: Path):
    log = shared_cache / "logs" / "report.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("".join(f"line {i}\n" for i in range(100)))
    gone = log.with_name("gone.log")
    first, second = read_runs([failed_row(log_path=str(path)) for path in (log, gone)])
    assert first.log.splitlines() == [f"line {i}" for i in range(100 - LOG_LINES, 100)]
    assert second.log == "its log cannot be read (No such file or directory)"


def test_a_store_from_elsewhere_cannot_name_any_file(tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (run,) = read_runs([failed_row(log_path=str(secret))])
    assert run.log == f"its log is not in this machine's cache folder: {secret}"


def test_runs_are_named_with_what_tells_them_apart():
    rates = [make_row(learning_rate=rate) for rate in (1e-3, 1e-1)]
    limits = [make_row(limit=limit) for limit in (None, 50)]
    trials = [make_trial("mlp", 0.5, {"learning_rate": rate}, epochs=2) for rate in (0.01, 0.1)]
    assert [run.model for run in read_runs(rates)] == [
        "mlp, learning rate 0.001", "mlp, learning rate 0.1",
    ]  # fmt: skip
    assert [run.model for run in read_runs(limits)] == ["mlp", "mlp, limit 50"]
    # a trial differs from runs in more than tells them apart
    assert [run.model for run in read_runs([make_row(), *trials[:1]])] == [
        "mlp", "mlp, learning rate 0.01",
    ]  # fmt: skip
    sizes = [make_trial("mlp", 0.5, {"learning_rate": 0.01}, batch_size=n) for n in (8, 16)]
    assert [run.model for run in read_runs([*trials[1:], *sizes])] == [
        "mlp, learning rate 0.1, batch size 128, epochs 2",
        "mlp, learning rate 0.01, batch size 8, epochs 10",
        "mlp, learning rate 0.01, batch size 16, epochs 10",
    ]  # fmt: skip


def test_only_so_many_logs_are_read_and_the_others_are_told_of():
    runs = read_runs([failed_row(run_id=f"r{i}") for i in range(LOGS + 2)])
    assert [run.log for run in runs] == [
        *["no log was kept"] * LOGS,
        *["its log is not shown: only those of the first 50 runs are"] * 2,
    ]
    assert {run.log for run in read_runs([failed_row()], with_logs=False)} == {""}
