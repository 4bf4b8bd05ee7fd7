from __future__ import annotations

import pytest
from stored import make_row

from harness.errors import UsageError
from harness.frames import frame_of
from harness.table.sides import DATASET, chosen, rows_of

FRAME = frame_of([
    make_row("mlp", params={"width": 8}, commit="0a1b2c3d"),
    make_row("mlp", params={"width": 16}, commit="0a1b2c3d"),
    make_row("mlp", "wide", params={"width": 64}, commit="0a1bffff", dataset="imdb"),
    make_row("cafe", commit="77777777"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("word", "kind", "rows"),
    [
        ("mlp", "model", [0, 1]),
        ("mlp[width=16]", "model", [1]),
        ("mlp[width=8,16]", "model", [0, 1]),
        ("mlp:wide", "model", [2]),
        ("cafe", "model", [3]),  # a model before a commit
        ("0a1b2c", "commit", [0, 1]),
        ("7777", "commit", [3]),
    ],
)
def test_a_word_is_a_model_or_the_beginning_of_a_commit(word: str, kind: str, rows: list[int]):
    found = rows_of(word, FRAME)
    assert found[0] == kind and found[1].index.tolist() == rows


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (
            "rnn",
            "no model, commit or store; known models with rows: cafe, mlp, mlp:wide; c",
        ),
        ("mlp:deep", "no rows of model 'mlp:deep'; did you mean 'mlp:wide'? known"),
        ("mlp[width=9]", "no rows of model 'mlp[width=9]'; rows have width=8,16"),
        ("mlp[widht=9]", "no parameter 'widht'; did you mean 'width'?"),
        ("mlp:*", "'mlp:*' stands for several models; expected one; did you mean 'mlp'"),
        ("*", "'*' stands for several models; expected one; known models with rows: cafe"),
        ("0a1b", "2 commits start with '0a1b': 0a1b2c3d, 0a1bffff"),
        ("beef", "'beef' is no model"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(word: str, expected: str):
    with pytest.raises(UsageError) as caught:
        rows_of(word, FRAME)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_rows_of_a_data_set_are_chosen_alike():
    assert len(chosen("imdb", FRAME, DATASET, what="data set")) == 1
    with pytest.raises(
        UsageError, match="no rows of data set 'mnist'; known data sets with rows: digits, imdb"
    ):
        chosen("mnist", FRAME, DATASET, what="data set")


def test_rows_of_uncommitted_changes_stand_for_a_commit_only_where_there_are_no_others():
    frame = frame_of([
        make_row("mlp", seed=0, commit="0a1b", dirty=False),
        make_row("mlp", seed=1, commit="0a1b", dirty=True),
        make_row("mlp", epochs=3, commit="0a1b", dirty=True),
        make_row("rnn", commit="0a1b", dirty=False, status="failed", accuracy=None),
        make_row("rnn", commit="0a1b", dirty=True),
        make_row("rnn", commit="0a1b", dirty=False, kind="trial"),
    ])  # fmt: skip
    assert rows_of("0a1b", frame)[1].index.tolist() == [0, 2, 3, 4]
    # a model is one whatever was committed
    assert len(rows_of("mlp", frame)[1]) == 3
