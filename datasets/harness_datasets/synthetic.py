"""Four tasks on random symbols, each made so that one family of models must fail at it.

Where order is the point, the bag of the symbols says nothing: a model that averages tokens
is at chance by construction, however long it is trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

import harness
from harness.hookspecs import Register
from harness_datasets._distinct import first_distinct

PAD = 0
TOKENS_AT_ONCE = 2**15

TaskName = Literal["majority", "first", "palindrome", "recall"]
Count = Annotated[int, Ge(1)]


def synthetic(
    *,
    task: TaskName = "majority",
    length: Count = 8,
    min_length: Count | None = None,
    symbols: Annotated[int, Ge(2), Le(1_000)] = 8,
    n_train: Count = 4_000,
    n_test: Count = 1_000,
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
) -> harness.Dataset:
    """Sequences of random symbols; the task says what is asked about them.

    Both splits are `{"x": int32 [n, length], "y": int32 [n]}`, padded in front with 0. Classes
    are of one size and no sequence occurs twice. The tasks:

    - "majority": which symbol occurs most often, in sequences where one does? Order says
      nothing, the mean of the token vectors all.
    - "first": which symbol comes first? Every symbol occurs equally often, so that the mean of
      the token vectors is the same whatever the class.
    - "palindrome": is it one? Every palindrome has a twin that is none, in which symbols of the
      second half changed places: both classes have the same bags of symbols.
    - "recall": pairs of a key and a value, and behind them one of the keys again: which value
      stood behind it? (associative recall; Graves et al. 2014, "Neural Turing Machines",
      arXiv:1410.5401). Keys and values of a sequence differ from each other, so that a bag
      says which values there are and not which is asked for: three in the default.

    Args:
      task: what is asked.
      length: most tokens of a sequence. "first" takes multiples of `symbols` up to it,
        "palindrome" even numbers from 4, "recall" odd numbers from 5, with at most half of the
        values in a sequence. What is left is padding.
      min_length: least tokens; lengths from there to `length` are equally likely, as far as
        there are so many different sequences. None has all as long as can be.
      symbols: of "recall" the values, of all others the vocabulary.
      n_train: sequences to train on.
      n_test: sequences to test on, the same whatever `n_train`.
      seed: of the sequences.

    Raises:
      UsageError: there are no, or too few, sequences of such lengths.
    """
    lengths = permitted_lengths(task, symbols=symbols, low=min_length, high=length)
    names = tuple(f"{'v' if task == 'recall' else 's'}{i}" for i in range(symbols))
    keys = [f"k{i}" for i in range(lengths[-1] // 2)] if task == "recall" else []
    words = ["", *names, *keys]  # of each id
    if task == "palindrome":
        names = ("other", "palindrome")
    random = np.random.RandomState(seed)  # its streams are frozen, whatever NumPy's version

    def draw(at_once: int) -> tuple[np.ndarray, np.ndarray]:
        return DRAWN[task](random, random.choice(lengths, at_once), length, symbols)

    x, y = first_distinct(
        draw, n_test + n_train, at_once=max(1, TOKENS_AT_ONCE // length),
        balanced=len(names), name=f"synthetic[task={task}]",
        key=_first_half if task == "palindrome" else np.ndarray.tobytes,
        advice="raise length or symbols, or ask for fewer",
    )  # fmt: skip
    return harness.Dataset(
        train={"x": x[n_test:], "y": y[n_test:]},
        test={"x": x[:n_test], "y": y[:n_test]},
        spec=harness.DataSpec(
            kind="tokens", shape=(length,), vocab_size=len(words), num_classes=len(names),
            class_names=names, pad_id=PAD, fingerprint=_digest(x, y, n_test),
        ),
        decode=lambda row: " ".join(words[int(id_)] for id_ in row if id_ != PAD),
        encode=partial(encode, words=words, length=length),
    )  # fmt: skip


def permitted_lengths(
    task: TaskName, *, symbols: int, low: int | None, high: int
) -> Sequence[int]:
    """The lengths from `low` to `high` that a task has, the longest alone without `low`.

    >>> permitted_lengths("palindrome", symbols=4, low=5, high=10)
    [6, 8, 10]

    Raises:
      UsageError: there is none.
    """
    least, step, most = {
        "majority": (1, 1, high), "first": (symbols, symbols, high), "palindrome": (4, 2, high),
        "recall": (5, 2, 2 * (symbols // 2) + 1),
    }[task]  # fmt: skip
    found = range(least, min(high, most) + 1, step)
    found = found[-1:] if low is None else [n for n in found if n >= low]
    if not found:
        known = f"{least}, {least + step}, {least + 2 * step}, ..."
        if task == "recall":
            known += f" up to {most}" if most >= least else " with at least 4 symbols"
        raise harness.UsageError(
            f"no length of task={task} with symbols={symbols} from min_length={low} to "
            f"length={high}: expected {known}"
        )
    return found


def _real(lengths: np.ndarray, length: int) -> np.ndarray:
    """What is no padding: bool [m, t], the last `lengths` [m] positions of each row."""
    return np.arange(length) >= length - lengths[:, None]  # [t] and [m, 1] -> [m, t]


def majority(
    random: np.random.RandomState, lengths: np.ndarray, length: int, symbols: int
) -> tuple[np.ndarray, np.ndarray]:
    """Independent symbols; rows without a single most frequent one are left out."""
    real = _real(lengths, length)
    x = np.where(real, random.randint(1, symbols + 1, real.shape), PAD)  # [m, t]
    counts = np.stack([(x == s).sum(axis=1) for s in range(1, symbols + 1)], axis=1)  # [m, s]
    single = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return x[single], counts[single].argmax(axis=1)


def first(
    random: np.random.RandomState, lengths: np.ndarray, length: int, symbols: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each symbol equally often, in random order; the label is the symbol in front."""
    x = equally_often(random, lengths, length, symbols)
    return x, x[np.arange(len(x)), length - lengths] - 1


def palindrome(
    random: np.random.RandomState, lengths: np.ndarray, length: int, symbols: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mirrored halves: each as it is, and with symbols of the second that changed places.

    One to as many pairs of places are swapped as there are symbols in the half.
    """
    half = lengths[:, None] // 2  # [m, 1]
    ends = random.randint(1, symbols + 1, (len(half), length))  # [m, t], the last token first
    behind = np.arange(length)[::-1]  # [t], tokens behind each position
    mirror = np.where(behind < half, behind, 2 * half - 1 - behind)  # [m, t]
    x = np.take_along_axis(ends, mirror % length, axis=1)
    x = np.where(_real(lengths, length), x, PAD)
    other, swaps = x.copy(), random.randint(1, half + 1)  # [m, 1]
    for swap in range(length // 2):
        places = length - 1 - (random.random_sample((len(x), 2)) * half).astype(int)  # [m, 2]
        pair = np.take_along_axis(other, places, axis=1)
        pair = np.where(swap < swaps, pair[:, ::-1], pair)
        np.put_along_axis(other, places, pair, axis=1)
    differ = (other != x).any(axis=1)
    both = np.concatenate([other[differ], x[differ]])  # [2 m', t]
    return both, np.repeat([0, 1], differ.sum())


def _first_half(row: np.ndarray) -> bytes:
    """What a row and its twin of the other class share: the padding and the first half."""
    return row[: len(row) - np.count_nonzero(row) // 2].tobytes()


def recall(
    random: np.random.RandomState, lengths: np.ndarray, length: int, symbols: int
) -> tuple[np.ndarray, np.ndarray]:
    """Keys and values in turns and one of the keys behind them; the label is its value."""
    rows, pairs = np.arange(len(lengths)), lengths // 2  # [m]
    most = min((length - 1) // 2, symbols // 2)  # k
    keys = random.random_sample((len(rows), most)).argsort(axis=1) + symbols + 1  # [m, k]
    values = random.random_sample((len(rows), symbols)).argsort(axis=1)[:, :most] + 1  # [m, k]
    body = np.stack([keys, values], axis=2).reshape(len(rows), -1)  # [m, k, 2] -> [m, 2k]
    asked = most - 1 - (random.random_sample(len(rows)) * pairs).astype(int)  # [m]
    x = np.concatenate([body, keys[rows, asked][:, None]], axis=1)  # [m, 2k + 1]
    x = np.pad(x, ((0, 0), (length - x.shape[1], 0)))  # [m, t]
    return np.where(_real(lengths, length), x, PAD), values[rows, asked] - 1


def equally_often(
    random: np.random.RandomState, lengths: np.ndarray, length: int, symbols: int
) -> np.ndarray:
    """Rows [m, length] in which each id from 1 to `symbols` occurs equally often.

    Args:
      lengths: multiples of `symbols`; what is in front of a row's last so many is padding.
    """
    behind = np.arange(length)[::-1]  # [t]
    ids = behind % symbols + 1  # [t]
    # what is padding sorts to the front
    order = np.where(_real(lengths, length), random.random_sample((len(lengths), length)), -1)
    x = ids[order.argsort(axis=1, kind="stable")]  # [m, t]
    return np.where(_real(lengths, length), x, PAD)


DRAWN = {"majority": majority, "first": first, "palindrome": palindrome, "recall": recall}


def encode(text: str, *, words: Sequence[str], length: int) -> np.ndarray:
    """The example of some words, int32 [length].

    Raises:
      UsageError: there is a word that is none of this data's, or too many.
    """
    given = text.split()
    known = {word: id_ for id_, word in enumerate(words) if word}
    for word in given:
        if word not in known:
            raise harness.UsageError(f"expected {' '.join(known)}, got {word[:20]!r}")
    if not 0 < len(given) <= length:
        raise harness.UsageError(f"expected 1 to {length} words, got {len(given)}")
    row = np.full(length, PAD, np.int32)
    row[-len(given) :] = [known[word] for word in given]
    return row


def _digest(x: np.ndarray, y: np.ndarray, n_test: int) -> str:
    return hashlib.sha256(x.tobytes() + y.tobytes() + str(n_test).encode()).hexdigest()


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "synthetic",
        synthetic,
        variants={task: {"task": task} for task in ("first", "palindrome", "recall")},
        # no paper: the one of associative recall is none of the other three tasks'
        description="Random symbols: majority, first, palindrome, or associative recall "
        "(Graves et al. 2014)",
    )
