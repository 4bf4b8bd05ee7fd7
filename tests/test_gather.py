"""Which rows of a table are used, and which are held out for testing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tables import part_of, part_of_pairs, reviews

import harness
from harness.progress import report_to
from harness_datasets import _gather
from harness_datasets._gather import Gathered, Labels, gather, hold_out, in_order, untested
from harness_datasets._rows import Row
from harness_datasets._tokenizers import normalised


def words(text: str) -> str:
    return normalised(text, "word", lower_case=True)


def gathered(
    folder: Path, *rows: Row, labels: Labels | None = None, name: str = "some.csv"
) -> Gathered:
    return gather(
        [part_of(*rows, name=name)],
        folder / "texts",
        words,
        Labels() if labels is None else labels,
    )


def noted(found: Gathered, *names: str) -> list[str]:
    return [note.line(names or ["some.csv"]) for note in found.notes]


def made(labels: Sequence[int], keys: Sequence[int]) -> Gathered:
    none = np.zeros(len(labels), np.int64)
    return Gathered(
        Path(), none, np.array(labels, np.int32), np.array(keys, np.uint64), []
    )  # fmt: skip


def held_of(labels: Sequence[int], keys: Sequence[int], *, share: float = 0.25, seed: int = 0):
    return hold_out(made(labels, keys), share=share, seed=seed)


def test_usable_rows_are_kept_in_order_and_normalised(tmp_path: Path):
    labels = Labels()
    found = gathered(
        tmp_path, Row(2, "Good!", "pos"), Row(3, "Ünder “bad”", "neg"), Row(4, "good", "pos"),
        labels=labels,
    )  # fmt: skip
    assert list(found.texts(found.all())) == ["good", "ünder bad", "good"]
    assert list(found.texts(np.array([False, True, False]))) == ["ünder bad"]
    assert [labels.names[label] for label in found.labels] == ["pos", "neg", "pos"]
    assert found.keys[0] == found.keys[2] != found.keys[1]
    assert found.notes == []


def test_rows_left_out_are_counted_and_the_first_are_named(tmp_path: Path):
    found = gathered(
        tmp_path, Row(2, "good", "a"), Row(3, fault="has no label"), Row(4, " ", "a"),
        Row(5, "!?", "a"), Row(6, "caf\udce9", "a"), Row(7, "good", "\udce9"),
    )  # fmt: skip
    assert noted(found) == [
        "5 rows of some.csv left out: line 3 has no label, line 4 has no text, line 5 has no "
        "word in its text, and 2 more"
    ]
    assert len(found.labels) == 1


@pytest.mark.parametrize("row", [Row(6, "caf\udce9", "a"), Row(6, "tea", "\udce9")])
def test_what_is_not_utf_8_is_left_out(tmp_path: Path, row: Row):
    found = gathered(tmp_path, Row(2, "good", "a"), row)
    assert noted(found) == ["1 row of some.csv left out: line 6 is not valid UTF-8"]


def test_a_label_that_training_has_not_is_left_out(tmp_path: Path):
    found = gathered(
        tmp_path, Row(2, "good", "b"), Row(3, "bad", "c"), labels=Labels(["a", "b"])
    )
    assert found.labels.tolist() == [1]
    assert noted(found) == [
        "1 row of some.csv left out: line 3 has the label 'c', which training has not"
    ]


def test_every_part_needs_a_usable_row_and_has_a_note_of_its_own(tmp_path: Path):
    good = part_of(Row(2, "good", "a"), Row(3, fault="is empty"), name="one.csv")
    also = part_of(Row(1, fault="is empty"), Row(2, "bad", "b"), name="two.csv", unit="row")
    found = gather([good, also], tmp_path / "texts", words, Labels())
    assert noted(found, "one.csv", "two.csv") == [
        "1 row of one.csv left out: line 3 is empty",
        "1 row of two.csv left out: row 1 is empty",
    ]
    assert list(found.texts(found.all())) == ["good", "bad"]
    bad = part_of(Row(2, fault="has no label"), name="bad.csv")
    with pytest.raises(harness.DataError) as caught:
        gather([good, bad], tmp_path / "texts", words, Labels())
    assert str(caught.value) == (
        "bad.csv has no usable row: line 2 has no label; expected a text and a label in each"
    )
    with pytest.raises(harness.DataError, match="no usable row: it has none;"):
        gather([part_of()], tmp_path / "texts", words, Labels())


def test_lines_that_a_quotation_mark_swallows_are_told(tmp_path: Path):
    far = Row(12, fault="is no row of CSV (in line 902)", lines=891)
    found = gathered(tmp_path, Row(2, "good", "a"), far, Row(903, fault="is empty"))
    assert noted(found) == [
        "2 rows of some.csv left out, 892 lines: line 12 is no row of CSV (in line 902), line "
        "903 is empty"
    ]
    long = [Row(12, "good", "a", lines=890), Row(902, "good", "a", lines=50)]
    assert noted(gathered(tmp_path, *long)) == [
        "1 row of some.csv with more than 50 lines: line 12 (890 lines); is a quotation mark "
        "missing?"
    ]


def test_a_column_of_ids_is_no_column_of_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_gather, "MOST_CLASSES", 5)
    rows = [Row(i, "good", str(i)) for i in range(6)]
    assert len(gathered(tmp_path, *rows[:5]).labels) == 5
    with pytest.raises(harness.DataError, match="more than 5 different .* label=..."):
        gathered(tmp_path, *rows)


def test_reading_reports_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_gather, "TOLD_EVERY", 10)
    heard: list[tuple[str, int, int | None]] = []
    with report_to(lambda what, done, total: heard.append((what, done, total))):
        gather([part_of_pairs(reviews(25))], tmp_path / "texts", words, Labels())
    assert heard == [("reading some.csv", done, None) for done in (0, 10, 20)]


def test_classes_are_in_the_order_of_numbers_and_then_of_letters():
    names = ["10", "b", "9", "a", "-1", "nan", "0.5"]
    assert sorted(names, key=in_order) == ["-1", "0.5", "9", "10", "a", "b", "nan"]


def test_each_class_gives_its_share():
    labels = [0] * 80 + [1] * 40 + [2] * 4
    held = held_of(labels, range(len(labels)))
    assert np.bincount(np.array(labels)[held]).tolist() == [20, 10, 1]


def test_a_share_is_rounded_to_whole_rows():
    assert [held_of([0] * n, range(n), share=0.2).sum() for n in (7, 8, 12, 13)] == [1, 2, 2, 3]


def test_a_class_of_two_texts_is_on_both_sides_and_one_of_one_in_training():
    labels = [0, 0, 1, 2, 2, 2]
    for share in (0.01, 0.9):
        held = held_of(labels, range(6), share=share)
        assert np.unique(np.array(labels)[held]).tolist() == [0, 2]
        assert np.unique(np.array(labels)[~held]).tolist() == [0, 1, 2]


def test_rows_of_one_text_stay_together():
    draw = np.random.default_rng(0)
    keys = draw.integers(0, 100, 400)
    held = held_of(draw.integers(0, 2, 400).tolist(), keys.tolist())
    assert not set(keys[held]) & set(keys[~held])
    assert 80 <= held.sum() <= 110


def test_a_text_that_is_most_of_a_class_is_trained_on():
    keys = [*range(50), *[99] * 50]
    for seed in range(20):
        held = held_of([0] * 100, keys, seed=seed)
        assert held[:50].sum() == 25 and not held[50:].any()
    few = held_of([0] * 6, [7, 7, 7, 8, 8, 8], share=0.1)
    assert few.sum() == 3


def test_the_choice_follows_its_seed_alone():
    labels, keys = [0, 1] * 50, range(100)
    first, again = held_of(labels, keys), held_of(labels, keys)
    assert (first == again).all()
    assert (first != held_of(labels, keys, seed=1)).any()


def test_nothing_to_hold_out_is_one_line():
    with pytest.raises(harness.DataError, match="no class has two different texts"):
        held_of([0, 0, 1], [5, 5, 6])


def test_classes_without_a_test_row_are_named():
    names = ["a", "b", "c", "d", "e", "f"]
    rows = made([0, 0, 1, 2, 3, 4, 5], range(7))
    held = np.array([True] + [False] * 6)
    assert [note.line([]) for note in untested(rows, held, names)] == [
        "no test row for 'b', 'c', 'd' and 2 more: one text only"
    ]
    assert untested(made([0, 0], range(2)), np.array([True, False]), names) == []
