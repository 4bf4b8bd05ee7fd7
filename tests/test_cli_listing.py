"""`harness list` with names: all of an entry, and what it says of names that nothing has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from called import Call


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_name_tells_all_of_its_entry(call: Call):
    said = lines(call("list", "models", "transformer").out)
    assert said[0] == "models" and said[1].startswith(
        "transformer Token and position embedding"
    )
    assert "plugin: built-in harness_models.transformer, 0.1.0" in said
    assert "paper: Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762" in said
    assert "dropout=0.1 float >= 0 and <= 1" in said and "norm=post post or pre" in said
    assert "no_position position=false" in said
    for words in (("transformer",), ("models", "transformer[norm=pre]"), ("transformer:deep",)):
        assert lines(call("list", *words).out) == said


def test_names_may_be_of_several_kinds(call: Call):
    said = call("list", "majority", "sgd")
    headings = [line for line in said.out.splitlines() if line and line[0] != " "]
    assert headings == ["models", "optimizers"]
    records = json.loads(call("list", "majority", "sgd", "--format", "json").out)
    assert {k: [r["name"] for r in rs] for k, rs in records.items()} == {
        "models": ["majority"], "optimizers": ["sgd"],
    }  # fmt: skip
    one = json.loads(call("list", "models", "majority", "--format", "json").out)
    assert [record["name"] for record in one] == ["majority"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("modles",), "nothing is called 'modles'; did you mean 'models'?"),
        (("imbd",), "nothing is called 'imbd'; did you mean 'imdb'"),
        (("majority", "models"), "models stands behind a name; a kind comes first"),
        (("models", "imdb"), "no model 'imdb'; known models: "),
        (("models", "majority", "gru2"), "no model 'gru2'; did you mean 'gru'?"),
    ],
)
def test_a_name_that_nothing_has_is_told_in_one_line(
    call: Call, words: tuple[str, ...], message: str
):
    said = call("list", *words)
    assert said.code == 2 and message in said.err and said.out == ""
    assert said.err.count("\n") == 1


def test_a_plugin_that_fails_might_have_had_the_name(call: Call, tmp_path: Path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('broken')")
    said = call("list", "net", "--plugin", str(broken))
    assert said.code == 2 and "nothing is called 'net'" in said.err
    assert "(plugins that failed to load: broken; see `" in said.err
