"""The command as a user meets it: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from stored import failed_row, make_row

import harness
from harness.cli import cli, main
from harness.cli.run import make_suite, run_command

PLUGIN = str(Path(__file__).parent / "plugins_for_tests.py")
QUICK = ("--epochs", "1", "--limit", "200", "--batch-size", "64")
# for what does not depend on where a run is performed: no worker has to start
HERE = (*QUICK, "--in-process")


class Said(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    """Calls the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Said:
        with pytest.raises(SystemExit) as left:
            main(words)
        assert isinstance(left.value.code, int)
        said = capfd.readouterr()
        return Said(left.value.code, said.out, said.err)

    return call


def test_a_run_prints_its_table_and_keeps_its_rows(call: Call, tmp_path: Path):
    said = call(
        "run", "-d", "digits", "-m", "majority", "-m", "mean_pool", *HERE, "--seeds", "2"
    )
    assert said.code == 0
    assert [line.split()[1] for line in said.out.splitlines() if line.startswith("digits")] == [
        "majority", "mean_pool",
    ]  # fmt: skip
    assert "epoch 1/1  test loss" in said.err
    assert (tmp_path / "harness.db").exists()

    again = call("table", "--format", "json")
    rows = json.loads(again.out)
    assert [(r["model"], r["seed"]) for r in rows] == [
        ("majority", 0), ("majority", 1), ("mean_pool", 0), ("mean_pool", 1),
    ]  # fmt: skip
    assert call("table").out == said.out
    filtered = call("table", "--where", "model == 'majority'", "--format", "json")
    assert len(json.loads(filtered.out)) == 2
    assert call("table", "--by", "model", "--sort", "model:desc").out.index("mean_pool") < call(
        "table", "--by", "model", "--sort", "model:desc"
    ).out.index("majority")

    shown = call("inspect", rows[0]["run_id"][:6], "--examples", "0,5")
    assert shown.code == 0 and shown.out.count("predicted:") == 2

    drawn = call("report", "--plots", "figures")
    assert drawn.code == 0
    assert all(Path(line).read_bytes()[:4] == b"\x89PNG" for line in drawn.out.splitlines())


def test_a_broken_plugin_is_reported_and_the_good_one_runs(call: Call, tmp_path: Path):
    (tmp_path / "broken.py").write_text("raise RuntimeError('boom')\n")
    said = call("run", "-d", "digits", "-m", "odd", "--plugin", PLUGIN,
                "--plugin", "broken.py", *QUICK)  # fmt: skip
    assert said.code == 0
    assert "plugin broken" in said.err and "RuntimeError: boom" in said.err
    listed = call("plugins", "--plugin", "broken.py", "--plugin", PLUGIN, "--verbose")
    assert "failed: RuntimeError: boom" in listed.out and "Traceback" in listed.out
    assert "model odd" in listed.out


def test_strict_plugins_end_the_command(call: Call, tmp_path: Path, monkeypatch):
    (tmp_path / "broken.py").write_text("raise RuntimeError('boom')\n")
    monkeypatch.setenv("HARNESS_STRICT_PLUGINS", "1")
    said = call("list", "--plugin", "broken.py")
    assert said.code == 2 and "boom" in said.err and said.out == ""
    (line,) = said.err.splitlines()
    *_, command, end = line.split("`")
    assert command.startswith("harness plugins doctor broken --plugin ") and not end
    told = call(*command.split()[1:])  # which tells it in spite of the variable
    assert told.code == 0 and "RuntimeError: boom" in told.out and "what to do" in told.out


def test_a_run_that_is_not_ok_exits_with_3_unless_allowed(call: Call):
    words = ("run", "-d", "digits", "-m", "odd[how=value]", "--plugin", PLUGIN, *HERE)
    said = call(*words)
    assert said.code == 3
    assert "failed: bad value" in said.out
    assert "failed: digits x odd, seed 0, construct: ValueError: bad value" in said.err
    assert call(*words, "--allow-failures").code == 0


def test_json_has_one_record_for_every_planned_run(call: Call, tmp_path: Path):
    words = ("run", "-d", "digits", "-m", "majority", "-m", "odd[how=value]",
             "--plugin", PLUGIN, *QUICK, "--format", "json")  # fmt: skip
    first = json.loads(call(*words).out)
    assert [r["status"] for r in first] == ["ok", "failed"]
    assert first[1]["test_accuracy"] is None
    said = call(*words, "--resume", "-o", "out.json")
    assert said.out == ""
    second = json.loads((tmp_path / "out.json").read_text())
    assert second[0]["run_id"] == first[0]["run_id"]
    assert second[1]["run_id"] != first[1]["run_id"]


def test_a_suite_file_runs_and_flags_take_its_keys_place(call: Call, tmp_path: Path):
    (tmp_path / "suite.toml").write_text(
        'datasets = ["digits"]\nmodels = ["majority"]\nepochs = 2\nlimit = 200\n'
        "[grid]\nlearning_rate = [1e-3, 1e-2]\n"
    )
    rows = json.loads(
        call("run", "suite.toml", "--epochs", "1", "--in-process", "--format", "json").out
    )
    assert [(r["epochs"], r["learning_rate"], r["suite"]) for r in rows] == [
        (1, 1e-3, "suite"), (1, 1e-2, "suite"),
    ]  # fmt: skip


def test_a_dry_run_lists_the_plan_and_does_nothing(call: Call, tmp_path: Path):
    said = call("run", "--dry-run")
    assert said.code == 0
    assert said.out.splitlines()[-1].startswith("15 runs, 15 to perform; of 15 the store")
    assert "digits x transformer:no_position, seed 1" in said.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "did you mean 'run'"),
        (["run", "--epoch", "3"], "Did you mean"),
        (["run", "--epochs", "many"], "many"),
        (["run", "-d", "digits", "-m", "nothing"], "known models: fnet"),
        (["run", "-d", "digits", "-m", "transformer:no_postion"], "'no_position'"),
        (["run", "-d", "digits", "-m", "mean_pool[width=wide]"], "expected int >= 1"),
        (["run", "-d", "digits", "-m", "mean_pool[width=4"], "expected ',' or ']'"),
        (["run", "-d", "digits"], "no model selected"),
        (["run", "-d", "digits", "-m", "majority", "--optimizer", "adan2"], "adan"),
        (["run", "-d", "digits", "-m", "majority", "--seeds", "2", "--seed", "1"], "both"),
        (["run", "-d", "digits", "-m", "majority", "--select", "best"], "--validation"),
        (["run", "-d", "digits", "-m", "majority", "--grid", "epochs"], "key=value"),
        (["run", "-d", "digits", "-m", "majority", "--epochs", "1", "--grid", "epochs=1,2"],
         "use one of them"),
        (["run", "-d", "digits", "-m", "majority", "--in-process", "--timeout", "5"],
         "drop one of them"),
        (["run", "-d", "digits", "-m", "majority", "--phase-timeout", "compil=3"],
         "did you mean 'compile'"),
        (["run", "-d", "digits", "-m", "majority", "--resume", "--rerun", "all"],
         "use one of them"),
        (["store", "export", "rows.csv"], "harness run"),
        (["store", "import", "absent.jsonl"], "no file 'absent.jsonl'"),
        (["data", "clean"], "name parts"),
        (["data", "clean", "compile"], "did you mean 'compiled'"),
        (["run", "-m", "majority", "-d", "digits", "--plugin", "absent.py"], "absent.py"),
        (["run", "absent.toml"], "absent.toml"),
        (["run", "-d", "digits", "-m", "majority", "-o", "absent/x.json"], "absent/x.json"),
        (["table"], "harness run"),
        (["table", "--store", "mysql://x"], "mysql"),
        (["table", "--format", "json", "--sort", "model"], "shape the table"),
        (["inspect", "abc"], "--examples 0,500"),
        (["inspect", "abc", "--examples", "1,x"], "whole numbers"),
        (["data", "import", "digits", "x.npz"], "needs no files"),
    ],
)  # fmt: skip
def test_a_usage_error_is_one_line_with_exit_code_2(call: Call, words, message: str):
    said = call(*words)
    assert said.code == 2
    assert message in said.err
    assert said.err.startswith("harness: ") and said.err.count("\n") == 1
    assert said.out == ""


def test_list_answers_as_text_and_as_json(call: Call):
    text = call("list", "--long")
    assert text.code == 0 and "no_position (position=false)" in text.out
    short = call("list", "models").out.splitlines()
    (line,) = [line for line in short if line.startswith("  mean_pool ")]
    assert " ".join(line.split()) == (
        "mean_pool Iyyer et al. 2015 | parameters: width, dropout, head_units, mask_padding "
        "| variants: masked, linear"
    )
    (line,) = [line for line in short if line.startswith("  majority ")]
    assert "The average label of the training split" in line
    records = json.loads(call("list", "models", "--format", "json").out)
    assert {"name", "description", "paper", "parameters", "variants", "origin",
            "plugin_version", "status"} == set(records[0])  # fmt: skip
    assert {"majority", "mean_pool", "transformer"} <= {r["name"] for r in records}
    absent = call("list", "models", "--plugin", PLUGIN)
    assert "[unavailable (pip install no_such_package)]" in absent.out


def test_inspect_shows_a_models_layers(call: Call):
    said = call("inspect", "mean_pool", "-d", "digits")
    assert said.code == 0
    assert "1,414 parameters" in said.out


def test_a_users_files_are_imported_and_foreign_ones_refused(call: Call, tmp_path: Path):
    (tmp_path / "imdb.npz").write_bytes(b"<html>not here</html>")
    said = call("data", "import", "imdb", "imdb.npz")
    assert said.code == 2
    assert said.err.count("\n") == 1 and "imdb.npz" in said.err


def test_every_command_and_option_has_help():
    for name, command in cli.commands.items():
        assert command.help, name
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name not in ("format_",):
                assert parameter.help, f"{name} --{parameter.name}"  # type: ignore[attr-defined]


def test_the_version_is_printed(call: Call):
    said = call("--version")
    assert said.code == 0 and said.out.startswith("harness, version ")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "-d", "x", "-m", "y"],
        ["list"],
        ["inspect", "transfomer", "-d", "digits"],
    ],
)
def test_light_commands_import_nothing_heavy(words: list[str], call: Call):
    call("list")  # fills the index, in a child process
    program = (
        "import sys\n"
        "from harness.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'jax', 'numpy', 'pandas', 'flax', 'sqlalchemy', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


STOPS = """
import os, signal, sys

class Stops:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["STOP_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Stops())
"""


@pytest.mark.parametrize(
    "at", ["harness.api", "harness.plan", "harness.cli", "harness.cli.table"]
)
@pytest.mark.parametrize("as_module", [True, False])
def test_ctrl_c_ends_a_command_in_one_line_also_while_it_is_imported(
    at: str, as_module: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(STOPS)
    script = tmp_path / "harness"
    script.write_text("from harness.__main__ import main\nmain()\n")
    roots = [str(tmp_path), str(Path(harness.__file__).parents[1])]
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([*roots, os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("STOP_AT", at)
    words = ["-m", "harness"] if as_module else [str(script)]
    done = subprocess.run([sys.executable, *words, "list"], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (130, "harness: interrupted\n", "")


def test_ctrl_c_while_the_package_is_imported_is_left_to_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(STOPS)
    monkeypatch.setenv(
        "PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    )
    monkeypatch.setenv("STOP_AT", "harness.api")
    program = "try: import harness\nexcept KeyboardInterrupt: print('mine')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")


def test_parts_and_precision_are_options_of_a_run(call: Call):
    model = "transformer[num_blocks=1,dropout=0,embed_dim=16,ff_dim=16]"
    words = ("run", "-d", "digits", "-m", model, *HERE)
    for options in ((), ("--accumulate", "4"), ("--precision", "bfloat16")):
        assert call(*words, *options).code == 0
    rows = json.loads(call("table", "--format", "json").out)
    assert [(r["accumulate"], r["precision"]) for r in rows] == [
        (1, "float32"), (4, "float32"), (1, "bfloat16"),
    ]  # fmt: skip
    assert len({r["run_key"] for r in rows}) == len({r["hlo_hash"] for r in rows}) == 3
    whole, parts, half = (r["train_loss"] for r in rows)
    assert parts == pytest.approx(whole, rel=1e-3) and parts != half
    assert half == pytest.approx(whole, rel=0.03)
    refused = call(*words, "--accumulate", "3")
    assert refused.code == 2 and "64" in refused.err and "3" in refused.err


SUITE = """
datasets = ["digits"]
models = ["majority"]
tune = ["learning_rate", "batch_size=16:64"]
budget = 4
"""


@pytest.mark.parametrize(
    ("words", "tune", "budget"),
    [
        ([], ["learning_rate", "batch_size"], 4),
        (["--budget", "6"], ["learning_rate", "batch_size"], 6),
        (["--learning-rate", "0.1"], ["batch_size"], 4),
        (["--grid", "learning_rate=0.1,0.2"], ["batch_size"], 4),
        (["--learning-rate", "0.1", "--batch-size", "8"], [], None),
        (["--tune", "schedule=constant,linear"], ["schedule"], 4),
    ],
)
def test_in_its_hyper_parameter_a_flag_takes_the_place_of_the_suite(
    words: list[str], tune: list[str], budget: int | None, tmp_path: Path
):
    (tmp_path / "suite.toml").write_text(SUITE)
    context = run_command.make_context("run", [str(tmp_path / "suite.toml"), *words])
    path = context.params.pop("suite")
    suite = make_suite(path, context.params)
    assert (list(suite.tune), suite.budget) == (tune, budget)


def test_tuning_takes_the_place_of_the_default_suites_learning_rate():
    suite = make_suite(
        None, run_command.make_context("run", ["--tune", "learning_rate"]).params
    )
    assert "learning_rate" not in suite.recipe and suite.tune == {"learning_rate": ""}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tune", "learning_rate", "--learning-rate", "0.1"], "is tuned and has a value"),
        (["--budget", "4"], "a budget without a key to tune"),
        (["--tune", "learning_rate=0.1:0.01"], "the smaller one first"),
        (["--tune", "model.rate=0:1"], "no selected model has a parameter 'rate'"),
        (["--tune", "learning_rate", "--budget", "1"], "budget=1: expected int >= 2"),
    ],
)
def test_what_cannot_be_tuned_is_a_usage_error_of_one_line(
    call: Call, tmp_path: Path, words: list[str], said: str
):
    found = call("run", "-d", "digits", "-m", "majority", *words)
    assert found.code == 2 and said in found.err and len(found.err.splitlines()) == 1
    assert not (tmp_path / "harness.db").exists()


def test_a_trial_that_diverged_is_no_failure_of_the_command(
    call: Call, monkeypatch: pytest.MonkeyPatch
):
    rows = [make_row(status="ok"), failed_row(kind="trial", status="diverged")]
    monkeypatch.setattr("harness.api.perform", lambda *_, **__: rows)
    said = call("run", "-d", "digits", "-m", "majority", "--tune", "learning_rate")
    assert said.code == 0 and "of 1 trial 1 not ok (1 diverged)" in said.err
    rows.append(failed_row())
    assert call("run", "-d", "digits", "-m", "majority", "--tune", "learning_rate").code == 3


@pytest.mark.parametrize("status", ["failed", "timeout", "oom"])
def test_a_trial_that_failed_is_a_failure_of_the_command_and_is_told(
    call: Call, monkeypatch: pytest.MonkeyPatch, status: str
):
    rows = [make_row(status="ok"), failed_row(kind="trial", status=status, seed=10_000)]
    monkeypatch.setattr("harness.api.perform", lambda *_, **__: rows)
    said = call("run", "-d", "digits", "-m", "majority", "--tune", "learning_rate")
    assert said.code == 3 and f"of 1 trial 1 not ok (1 {status})" in said.err
    assert "trial, seed 10000" in said.err


def test_of_what_ctrl_c_stopped_only_the_run_that_had_begun_is_told(
    call: Call, monkeypatch: pytest.MonkeyPatch
):
    stopped: dict[str, Any] = {"status": "interrupted", "error_message": "stopped by Ctrl-C"}
    begun = failed_row(**stopped, log_path="a.log")
    rows = [begun, *(failed_row(**stopped, log_path=None) for _ in range(2))]
    monkeypatch.setattr("harness.api.perform", lambda *_, **__: rows)
    said = call("run", "-d", "digits", "-m", "majority")
    assert said.code == 3
    (told,) = [line for line in said.err.splitlines() if "stopped by" in line]
    assert "a.log" in told
