"""Texts to ids and back, by each kind of tokens."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest

import harness
from harness.errors import Unavailable
from harness_datasets import _tokenizers
from harness_datasets._tokenizers import Tokens, fit, normalised, restored

KINDS: tuple[Tokens, ...] = ("word", "character", "byte", "bpe")
TEXTS = ["the film the film", "a good film", "the worst 🙂 ünder all"]


def words(text: str, *, lower_case: bool = True) -> str:
    return normalised(text, "word", lower_case=lower_case)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The <br /> THAT, film (of\tit)", "the br that film of it"),
        ("don't 'quoted' rock’n’roll ''", "don't quoted rock'n'roll"),
        ("great🙂🙂 film", "great 🙂 🙂 film"),
        ("10/10 a_b", "10 10 a b"),
        ("so\u00adft \ufeffBOM", "soft bom"),
        ("\u2764\ufe0f", "\u2764"),
        ("हिन्दी फ़िल्म", unicodedata.normalize("NFC", "हिन्दी फ़िल्म")),
        ("... !", ""),
        (" \n", ""),
    ],
)
def test_words_are_letters_marks_digits_and_apostrophes(text: str, found: str):
    assert words(text) == found


def test_case_is_kept_where_it_matters():
    assert words("The Film", lower_case=False) == "The Film"
    assert normalised(" The Film ", "character", lower_case=False) == "The Film"


@pytest.mark.parametrize("tokens", KINDS)
def test_two_ways_to_write_a_letter_are_one(tokens: Tokens):
    composed, apart = "caf\u00e9", "cafe\u0301"
    assert normalised(apart, tokens, lower_case=True) == composed
    assert normalised(composed.upper(), tokens, lower_case=True) == composed


def test_normalised_text_is_its_own_normal_form():
    for tokens in KINDS:
        for text in ("The  film’s “good”", "x 🙂🙂 y", "İstanbul ﬁlm"):
            once = normalised(text, tokens, lower_case=True)
            assert normalised(once, tokens, lower_case=True) == once


def test_words_have_ids_by_frequency_and_ties_by_code_points():
    vocabulary = fit("word", TEXTS, vocab_size=6)
    counts = Counter(word for text in TEXTS for word in text.split())
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    assert ranked[:4] == ["film", "the", "a", "all"]
    assert vocabulary.size == 6
    ids = vocabulary.ids(["the film a all good new", "film"])
    assert [one.tolist() for one in ids] == [[3, 2, 4, 5, 1, 1], [2]]
    assert vocabulary.text(np.array([3, 2, 1])) == "the film <unk>"


def test_a_vocabulary_is_no_larger_than_what_there_is():
    vocabulary = fit("word", TEXTS, vocab_size=1000)
    assert vocabulary.size == 2 + len({word for text in TEXTS for word in text.split()})


def test_characters_are_code_points():
    vocabulary = fit("character", ["aab 🙂"], vocab_size=100)
    ids = vocabulary.ids(["a🙂z"])[0]
    assert ids.tolist() == [2, 5, 1]
    assert vocabulary.text(ids) == "a🙂\ufffd"


def test_bytes_are_their_values_plus_one():
    vocabulary = fit("byte", [], vocab_size=3)
    ids = vocabulary.ids(["aé\0"])[0]
    assert (ids - 1).tolist() == list("aé\0".encode())
    assert (vocabulary.size, vocabulary.text(ids)) == (257, "aé\0")
    assert vocabulary.text(ids[2:]) == "\ufffd\0"


def test_pairs_of_bytes_are_merged_by_their_frequency():
    vocabulary = fit("bpe", ["low low low lower"] * 3, vocab_size=261)
    assert vocabulary.size == 261
    ids = vocabulary.ids(["low", "zß🙂"])
    assert len(ids[0]) == 1 and len(ids[1]) == len("zß🙂".encode())
    assert min(ids[1]) >= 1
    assert vocabulary.text(ids[1]) == "zß🙂"


def test_no_text_has_the_id_of_padding():
    for tokens in KINDS:
        vocabulary = fit(tokens, TEXTS, vocab_size=300)
        for text in ("<pad> [PAD] </s> <unk>", "\0", "film"):
            ids = vocabulary.ids([text])[0]
            assert 0 < ids.min() and ids.max() < vocabulary.size


@pytest.mark.parametrize("tokens", KINDS)
def test_a_vocabulary_is_restored_from_json(tokens: Tokens):
    vocabulary = fit(tokens, TEXTS, vocab_size=300)
    again = restored(tokens, json.loads(json.dumps(vocabulary.kept())))
    text = normalised(TEXTS[2], tokens, lower_case=True)
    ids = vocabulary.ids([text])[0]
    assert again.size == vocabulary.size
    assert again.ids([text])[0].tolist() == ids.tolist()
    assert again.text(ids) == vocabulary.text(ids) == text


def test_no_text_is_learnt_from_beyond_a_limit(monkeypatch: pytest.MonkeyPatch):
    texts = ["ab" * 20 + "xy" * 20]
    assert "xy" in str(fit("bpe", texts, vocab_size=300).kept())
    monkeypatch.setattr(_tokenizers, "MERGED_BYTES", 4 * 40)
    assert "xy" not in str(fit("bpe", texts, vocab_size=300).kept())


MERGES = """
import random
from harness_datasets._tokenizers import fit
draw = random.Random(0)
texts = [" ".join("".join(draw.choices("abcde", k=4)) for _ in range(20)) for _ in range(300)]
print(fit("bpe", texts, vocab_size=400).kept())
"""


def test_another_process_merges_the_same_pairs():
    said = {
        subprocess.run(
            [sys.executable, "-c", MERGES], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(said) == 1 and "merges" in said.pop()


def test_counting_forgets_the_rare_and_keeps_the_frequent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_tokenizers, "COUNTED", 20)
    texts = (f"the film once{i}" for i in range(200))
    vocabulary = fit("word", texts, vocab_size=4)
    assert [one.tolist() for one in vocabulary.ids(["film the"])] == [[2, 3]]
    counted = _tokenizers._counted(iter([f"the film once{i}".split() for i in range(200)]))
    assert len(counted) <= 22 and counted["the"] == 200


def test_a_vocabulary_too_small_for_every_byte_is_refused():
    with pytest.raises(harness.UsageError, match="vocab_size=256 with tokens=bpe: .* 257"):
        _tokenizers.check_size("bpe", 256)
    _tokenizers.check_size("bpe", 257)
    _tokenizers.check_size("word", 3)


def test_byte_pairs_without_their_package_name_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_tokenizers, "find_spec", lambda name: None)
    _tokenizers.check_installed("word")
    with pytest.raises(Unavailable, match=r"needs tokenizers; run pip install '.*\[bpe\]'"):
        _tokenizers.check_installed("bpe")
