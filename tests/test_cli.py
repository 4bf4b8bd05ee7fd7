"""The command as a user meets it: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from called import Call

from harness.cli import cli
from harness.cli.listing import CITATION

PLUGIN = str(Path(__file__).parent / "plugins_for_tests.py")
QUICK = ("--epochs", "1", "--limit", "200", "--batch-size", "64")
# for what does not depend on where a run is performed: no worker has to start
HERE = (*QUICK, "--in-process")


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


@pytest.mark.parametrize(
    ("paper", "cited"),
    [
        ("Kim 2014, Convolutional Neural Networks, arXiv:1408.5882", "Kim 2014"),
        ("Vaswani et al. 2017", "Vaswani et al. 2017"),
        ("Kim (2014), Convolutional Neural Networks", "Kim (2014)"),
        ("Kim (2014). Convolutional Neural Networks", "Kim (2014)"),
        ("Kim (NeurIPS 2014), Convolutional Neural Networks", "Kim (NeurIPS 2014)"),
        ("Kim, 2014b, Convolutional Neural Networks", "Kim, 2014b"),
        ("Some title, arXiv:2004.05150", None),
        ("Some title, arXiv 1905.01395", None),
        ("Some title, https://aclanthology.org/2020.acl-main.1", None),
        ("", None),
    ],
)
def test_a_citation_ends_at_a_year_and_no_number_of_arxiv_is_one(paper: str, cited: str | None):
    found = CITATION.match(paper)
    assert (found[0] if found else None) == cited


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
