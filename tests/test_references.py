"""Reference accuracies: what counts as off, and that every model has one."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import references
from benchmarks.references import Reference, allowed, main, shared_variance, verdict
from harness import index

SMALL = """
dataset = "digits"
limit = 200
epochs = 1
seeds = 2
[learning_rate]
majority = 1e-3
mean_pool = 1e-2
"""


def told(*accuracies: float, parameters: int = 10, data: str = "some") -> Reference:
    return Reference(
        accuracies=accuracies, param_count=parameters, data_fingerprint=data, commit="",
        date="2026-01-01",
    )  # fmt: skip


def test_a_mean_is_off_beyond_three_standard_errors_of_the_difference():
    reference = told(0.80, 0.82)  # a standard error of a point
    assert allowed(reference, shared=0.0) == pytest.approx(0.03 * 2**0.5)
    assert verdict(reference, told(0.77), shared=0.0) == ""
    assert verdict(reference, told(0.76), shared=0.0) == "-0.0500, more than 0.0424"
    assert verdict(reference, told(0.86), shared=0.0) == "+0.0500, more than 0.0424"


def test_a_model_that_became_unstable_is_allowed_no_more():
    assert verdict(told(0.80, 0.80), told(0.50, 0.85), shared=1e-4) != ""


def test_seeds_that_agree_are_allowed_what_they_do_in_all_models():
    untrained = told(0.1, 0.9, parameters=0)  # whose seeds say nothing
    models = {"a": told(0.5, 0.5), "b": told(0.80, 0.82), "majority": untrained}
    assert shared_variance(models) == pytest.approx(1e-4)
    assert allowed(models["a"], shared=1e-4) == pytest.approx(0.03)
    assert verdict(models["a"], told(0.529, 0.529), shared=1e-4) == ""
    assert verdict(models["a"], told(0.531, 0.531), shared=1e-4) != ""
    assert shared_variance({"majority": untrained}) == 0.0


def test_another_number_of_parameters_is_another_model():
    said = verdict(told(0.5), told(0.5, parameters=11), shared=0.0)
    assert said == "11 parameters in place of 10"


def test_other_data_are_told():
    assert verdict(told(0.5), told(0.5, data="others"), shared=0.0) == "the data are others"


def test_what_was_written_is_found_again_and_a_worse_model_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = tmp_path / "small.toml"
    asked.write_text(SMALL)
    monkeypatch.setattr(references, "ASKED", asked)
    file = tmp_path / "found.json"
    written = CliRunner().invoke(main, ["--write", str(file)])
    assert written.exit_code == 0, written.output
    again = CliRunner().invoke(main, ["--check", str(file), "--model", "majority"])
    assert again.exit_code == 0, again.output
    assert "| majority | 0." in again.stdout and "the same to the bit" in again.stdout
    better = json.loads(file.read_text())
    better["models"]["majority"]["accuracies"] = [0.9, 0.9]
    file.write_text(json.dumps(better))
    worse = CliRunner().invoke(main, ["--check", str(file), "--model", "majority"])
    assert worse.exit_code == 3 and "more than" in worse.stdout
    refused_if(asked, SMALL.replace("epochs = 1", "epochs = 2"), file, "with epochs=1, and")
    refused_if(asked, SMALL.replace("1e-2", "2e-2"), file, "mean_pool with learning_rate=0.01")
    refused_if(asked, SMALL + "mlp = 1e-3\n", file, "has no reference of mlp")
    asked.write_text(SMALL.replace("mean_pool = 1e-2", ""))  # it is not asked for any more
    left = CliRunner().invoke(main, ["--check", str(file)])
    assert left.exit_code == 3 and "mean_pool" not in left.stdout


def test_one_model_is_written_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        references, "measure", lambda models, asked: {name: told(0.5) for name in models}
    )
    asked, file = tmp_path / "small.toml", tmp_path / "found.json"
    asked.write_text(SMALL)
    monkeypatch.setattr(references, "ASKED", asked)
    assert CliRunner().invoke(main, ["--write", str(file)]).exit_code == 0
    asked.write_text(SMALL + "mlp = 1e-3\n")
    words = ["--write", str(file), "--model", "mlp"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert sorted(json.loads(file.read_text())["models"]) == ["majority", "mean_pool", "mlp"]
    elsewhere = json.loads(file.read_text()) | {"machine": {"cpu_model": "another"}}
    file.write_text(json.dumps(elsewhere))
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 2 and "with another machine" in refused.output


def refused_if(asked: Path, text: str, file: Path, said: str) -> None:
    """Compares a file of references with other runs than those that it is of."""
    asked.write_text(text)
    done = CliRunner().invoke(main, ["--check", str(file)])
    assert done.exit_code == 2 and said in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give one of --write FILE and --check FILE"),
        (["--write", "x.json", "--model", "gru"], "x.json does not exist"),
    ],
)
def test_what_cannot_be_done_is_refused(words: list[str], said: str):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and said in done.output


def test_every_model_of_texts_has_a_reference():
    asked = tomllib.loads(references.ASKED.read_text())
    known = index.open_registry().of_kind("model")
    names = {entry.name for entry in known if entry.source.origin == "built-in"}
    assert set(asked["learning_rate"]) == names - {"mlp"}  # which serves no texts
    written = json.loads((references.ASKED.parent / "results" / "references.json").read_text())
    assert set(written["models"]) == names - {"mlp"}
