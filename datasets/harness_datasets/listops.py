"""ListOps: expressions of MIN, MAX, MED and SM over digits, to be worked out.

`[MAX 2 9 [MIN 4 7 ] 0 ]` is 9. A bag of the words knows little of the value; a model has to
find the brackets that belong together and to compute from the innermost outwards. The
examples are made here, by the published rules, and need no file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import partial
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

import harness
from harness.hookspecs import Register
from harness_datasets._distinct import first_distinct
from harness_datasets._expressions import CLOSE, FIRST_OPERATOR, PAD, WORDS, Limits, draw
from harness_datasets._ragged import open_or_make

VERSION = 1  # of what is drawn; a change makes other expressions
TOKENS_AT_ONCE = 2**18  # of the longest expressions that grow side by side
IDS = {word: id_ for id_, word in enumerate(WORDS) if word}
NAMES = ("train_x", "train_y", "test_x", "test_y")

Seed = Annotated[int, Ge(0), Le(2**32 - 1)]


def listops(
    *,
    min_length: Annotated[int, Ge(4)] = 16,
    max_length: Annotated[int, Ge(4)] = 128,
    max_depth: Annotated[int, Ge(2)] = 10,
    max_args: Annotated[int, Ge(2)] = 10,
    n_train: Annotated[int, Ge(1)] = 20_000,
    n_test: Annotated[int, Ge(1)] = 2_000,
    seed: Seed = 0,
) -> harness.Dataset:
    """Expressions of MIN, MAX, MED and SM over digits; ten classes (Nangia and Bowman 2018).

    "ListOps: A Diagnostic Dataset for Latent Tree Learning", arXiv:1804.06028, with the
    settings of Tay et al. 2021, "Long Range Arena", arXiv:2011.04006: up to ten arguments,
    of which a quarter are expressions, down to depth ten. MED is the median, rounded down;
    SM the sum modulo 10. A token is a digit, an operator with its bracket, or a closing
    bracket. Both splits are `{"x": int32 [n, max_length], "y": int32 [n]}`, padded in front
    with 0; no expression occurs twice. Classes are as they come: in the default 0 and 9 have
    15 % of the expressions each, the others 8 to 10 %.

    Args:
      min_length: least tokens of an expression.
      max_length: most tokens of an expression; Long Range Arena has 500 to 2,000.
      max_depth: levels of an expression; those of the last one are digits.
      max_args: most arguments of an operator; it has at least two.
      n_train: expressions to train on; Long Range Arena has 96,000.
      n_test: expressions to test on, the same whatever `n_train`.
      seed: of the expressions.

    Raises:
      UsageError: there are no, or too few, expressions within these limits.
      DataError: the cache cannot be written.
    """
    limits = Limits(min_length, max_length, max_depth, max_args)
    if min_length > max_length:
        raise harness.UsageError(
            f"min_length={min_length} with max_length={max_length}: expected a min_length that "
            "is not above max_length"
        )
    drawn = {**asdict(limits), "n_train": n_train, "n_test": n_test, "seed": seed}
    text = json.dumps({"version": VERSION, **drawn}, sort_keys=True)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    folder = harness.cache_dir() / "prepared" / "listops" / fingerprint[:16]
    arrays = open_or_make(folder, NAMES, partial(generate, limits, n_train, n_test, seed=seed))
    return harness.Dataset(
        train={"x": arrays["train_x"], "y": arrays["train_y"]},
        test={"x": arrays["test_x"], "y": arrays["test_y"]},
        spec=harness.DataSpec(
            kind="tokens", shape=(max_length,), vocab_size=len(WORDS), num_classes=10,
            pad_id=PAD, fingerprint=fingerprint,
        ),
        decode=decode,
        encode=partial(encode, max_length=max_length),
    )  # fmt: skip


def generate(limits: Limits, n_train: int, n_test: int, *, seed: int) -> dict[str, np.ndarray]:
    """`<split>_x` int32 [n, max_length] and `<split>_y` int32 [n].

    Raises:
      UsageError: there are too few expressions within the limits.
    """
    random = np.random.RandomState(seed)  # its streams are frozen, whatever NumPy's version
    x, y = first_distinct(
        lambda at_once: draw(random, at_once, limits), n_test + n_train,
        at_once=max(1, TOKENS_AT_ONCE // limits.max_length), name="listops",
        advice="widen min_length and max_length, raise max_depth or max_args, or ask for fewer",
    )  # fmt: skip
    parts = (x[n_test:], y[n_test:], x[:n_test], y[:n_test])
    return dict(zip(NAMES, parts, strict=True))


def decode(x: np.ndarray) -> str:
    """The expression as it is published, as in `[MAX 2 9 [MIN 4 7 ] 0 ]`.

    Args:
      x: int [t], one example.
    """
    return " ".join(WORDS[int(id_)] for id_ in x if id_ != PAD)


def encode(text: str, *, max_length: int) -> np.ndarray:
    """The example of an expression, int32 [max_length]; a closing bracket may touch a digit.

    Raises:
      UsageError: it is no expression, or a longer one.
    """
    words = text.replace("]", " ] ").split()
    for word in words:
        if word not in IDS:
            raise harness.UsageError(f"expected words of {' '.join(IDS)}, got {word[:20]!r}")
    if not 0 < len(words) <= max_length:
        raise harness.UsageError(f"expected 1 to {max_length} tokens, got {len(words)}")
    ids = np.array([IDS[word] for word in words], np.int32)
    opened = np.cumsum((ids >= FIRST_OPERATOR) - 2 * (ids == CLOSE).astype(int))
    if opened[-1] or (opened[:-1] < 1).any():
        raise harness.UsageError(
            f"expected one expression whose brackets are closed, got {text[:40]!r}"
        )
    return np.pad(ids, (max_length - len(ids), 0), constant_values=PAD)


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "listops",
        listops,
        variants={"lra": {"min_length": 500, "max_length": 2000}},
        description="Nested MIN, MAX, MED and SM of digits, ten classes; generated",
        paper="Nangia and Bowman 2018, ListOps, arXiv:1804.06028; Tay et al. 2021, Long Range "
        "Arena, arXiv:2011.04006",
    )
