"""Naive Bayes ratios under a linear classifier: the strong classical baseline.

A text is the set of its words and n-grams: each is there or not, however often. Before
training, the training split says of each how much more often it stands in texts of a class
than in others; the logarithm of that ratio is what its presence is worth. Alone, the sum of
these is naive Bayes. Training gives each ratio a weight, which naive Bayes, taking every
feature for independent of the others, holds to be the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from flax import nnx

import harness
from harness.hookspecs import Register
from harness.specs import Split
from harness_models._layers import Rate, text_sizes
from harness_models._ngrams import Array, Buckets, Order, distinct, ngram_ids, useful_buckets

TASKS = ("classification", "multi_label")
# examples whose n-grams are counted at once
BLOCK = 1024
# numbers of a table that int32 can tell apart
MOST = 2**31


class Counted(nnx.Variable[jax.Array]):
    """What `prepare` counts and training must not change: it is no `nnx.Param`."""


class NBSVM(nnx.Module):
    """A linear classifier on the presence of n-grams, scaled by log-count ratios.

    Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic
    Classification", ACL 2012. With f the presence of each n-gram, p its count in texts of a
    class plus `alpha`, q that in all others:

        r = log((p / |p|) / (q / |q|))        output = w . (r f) + b

    Two things differ. The paper trains with a squared hinge loss and an L2 penalty; here the
    loss is the shared cross-entropy, as in Mesnil et al. 2014, "Ensemble of Generative and
    Discriminative Techniques for Sentiment Analysis of Movie Reviews", arXiv:1412.5335, and
    a penalty is the optimizer's (`adamw[weight_decay=0.1]`). And n-grams of two words and
    more share rows by a hash; with more buckets than there are n-grams, few do.

    Two classes have one output, the log odds of the second; more, or labels, have one each,
    against the rest. N-grams that training never showed have a ratio of 0.

    Args:
      data: sequences of tokens, for classification or multi-label classification; a batch
        may hold shorter ones than `data.shape`.
      max_n: words in the longest n-grams; 1 for words alone.
      buckets: rows that n-grams of two words and more share; a power of two. A row takes 20
        bytes an output in training with Adam. A vocabulary of few words, whose n-grams are
        few, gets fewer.
      alpha: added to every count.
      interpolation: the share of w in evaluation, where the rest is its mean magnitude, so
        that 0 has the weights of naive Bayes, beside the trained b, and 1 leaves w as it was
        trained. The paper has 0.25 for what it trains; weights that Adam trains from zero
        predict best as they are. No effect without ratios.
      ratios: whether features are scaled by ratios; without them it is a linear classifier.

    Raises:
      Unsupported: the data are not sequences of tokens, or the task is another one.
      UsageError: `buckets` is no power of two, or too many for so many outputs.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        max_n: Order = 2,
        buckets: Buckets = 2**21,
        alpha: Annotated[float, Ge(1e-6)] = 1.0,
        interpolation: Rate = 1.0,
        ratios: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        self.vocab_size, _ = text_sizes(data)
        if data.task not in TASKS:
            raise harness.Unsupported(
                f"answers the tasks {', '.join(TASKS)}; this one is {data.task!r}"
            )
        self.pad_id, self.max_n = data.pad_id, max_n
        self.buckets = useful_buckets(buckets, vocab_size=self.vocab_size, max_n=max_n)
        self.alpha, self.interpolation = alpha, interpolation
        self.num_classes = data.num_classes
        self.two = data.task == "classification" and data.num_classes == 2
        self.rows = self.vocab_size + self.buckets
        outputs = 1 if self.two else data.num_classes
        _check_size(self.vocab_size, self.buckets, outputs)
        self.weights = nnx.Param(jnp.zeros((self.rows, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.ratios = Counted(jnp.ones((self.rows, outputs))) if ratios else None
        self.seen = Counted(jnp.float32(self.rows)) if ratios else None
        self.deterministic = False  # nnx's own switch between training and evaluation

    def prepare(self, train: Split) -> None:
        """Counts in how many training texts of each class an n-gram stands.

        Args:
          train: `{"x": int32 [n, t], "y": int32 [n]}`, or a random-access source of single
            examples; labels are `y` `[n, c]`.
        """
        if self.ratios is None or self.seen is None:
            return
        members, everyone = np.zeros((self.num_classes, self.rows)), np.zeros(self.rows)
        for x, y in _blocks(train):
            if self.pad_id is not None:  # columns of nothing but padding take time for nothing
                x = x[:, np.argmax((x != self.pad_id).any(axis=0)) :]
            is_member = y == 1 if y.ndim == 2 else y[:, None] == np.arange(self.num_classes)
            text, feature = self._present_on_host(x)  # [m], [m]
            everyone += np.bincount(feature, minlength=self.rows)
            for k in range(self.num_classes):
                of_class = feature[is_member[text, k]]
                members[k] += np.bincount(of_class, minlength=self.rows)
        found = log_ratios(members[1:] if self.two else members, everyone, alpha=self.alpha)
        self.ratios[...] = jnp.asarray(found.T, jnp.float32)  # [rows, outputs]
        self.seen[...] = jnp.float32(np.count_nonzero(everyone))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]`: logits float32 `[b, c]`."""
        ids, real = self._features(tokens)
        present = distinct(
            jnp.concatenate(ids, axis=1), jnp.concatenate(real, axis=1), nothing=self.rows
        )  # [b, m], where m counts the n-grams of all lengths
        values = self._scaled(present)  # [b, m, outputs]
        outputs = values.sum(axis=1) + self.bias[...].astype(jnp.float32)[None]
        if self.two:
            outputs = jnp.pad(outputs, ((0, 0), (1, 0)))  # [b, 1] -> [b, 2]: 0, the log odds
        return outputs

    def _scaled(self, present: jax.Array) -> jax.Array:
        """What features `[b, m]` add to the outputs: float32 `[b, m, outputs]`, 0 for none."""
        weights = _entries(self.weights[...], present).astype(jnp.float32)
        if self.ratios is None or self.seen is None:
            return weights
        if self.deterministic and self.interpolation < 1:
            sizes = jnp.abs(self.weights[...].astype(jnp.float32)).sum(axis=0)  # [outputs]
            mean = sizes / jnp.maximum(self.seen[...], 1)
            share = self.interpolation
            weights = share * weights + (1 - share) * mean[None, None]
        return weights * _entries(self.ratios[...], present)

    def _features(self, tokens: Array) -> tuple[list[Array], list[Array]]:
        """Rows of the table and a mask for the n-grams of each length: `[b, t - n + 1]`."""
        ids, real = [], []
        for n in range(1, min(self.max_n, tokens.shape[1]) + 1):
            found, mask = ngram_ids(tokens, n, buckets=self.buckets, pad_id=self.pad_id)
            ids.append(found if n == 1 else found + np.int32(self.vocab_size))
            real.append(mask)
        return ids, real

    def _present_on_host(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The features of texts `[n, t]`, each once: their texts and their rows, `[m]` each."""
        ids, real = (np.concatenate(parts, axis=1) for parts in self._features(x))
        text, place = np.nonzero(real)
        pairs = np.sort(text * self.rows + ids[text, place])
        # np.unique would hash them, which takes many times as long
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        return pairs // self.rows, pairs % self.rows


def _check_size(vocab_size: int, buckets: int, outputs: int) -> None:
    """Refuses a table with more numbers than `_entries` can tell apart."""
    room = MOST // outputs - 1 - vocab_size  # a row more stands for no feature
    if buckets <= room:
        return
    most = 1 << (room.bit_length() - 1) if room > 1 else 0
    do = f"use {most} or less" if most else "give it data of fewer tokens or classes"
    raise harness.UsageError(
        f"buckets={buckets} beside {vocab_size} tokens, for {outputs} outputs: expected fewer "
        f"than 2**31 weights; {do}"
    )


def _entries(table: jax.Array, rows: jax.Array) -> jax.Array:
    """Rows `[b, m]` of a table `[f, c]`: `[b, m, c]`, 0 for a row that it does not have."""
    c = table.shape[1]
    places = rows[:, :, None] * np.int32(c) + jnp.arange(c, dtype=jnp.int32)[None, None]
    # number by number, because XLA's CPU compiler is slow at gathering rows of one number
    return table.reshape(-1).at[places].get(mode="fill", fill_value=0)  # [f c] -> [b, m, c]


def log_ratios(members: np.ndarray, everyone: np.ndarray, *, alpha: float) -> np.ndarray:
    """Log-count ratios of features: float64 `[c, f]`, 0 where nobody has one.

    Args:
      members: of each class and feature, the texts of the class that have it: `[c, f]`.
      everyone: all texts that have it: `[f]`.
      alpha: added to every count.
    """
    there = everyone > 0

    def shares(counts: np.ndarray) -> np.ndarray:
        smoothed = np.where(there, counts + alpha, 0)  # [c, f]
        return smoothed / np.maximum(smoothed.sum(axis=1, keepdims=True), alpha)

    inside, outside = shares(members), shares(everyone - members)
    return np.log(np.where(there, inside, 1)) - np.log(np.where(there, outside, 1))


def _blocks(train: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A split in blocks of x `[m, t]` and y `[m]` or `[m, c]`."""
    size = len(train["y"]) if isinstance(train, Mapping) else len(train)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        if isinstance(train, Mapping):
            x, y = train["x"][start:stop], train["y"][start:stop]
        else:
            examples = [train[i] for i in range(start, stop)]
            x, y = ([example[name] for example in examples] for name in ("x", "y"))
        yield np.asarray(x), np.asarray(y)


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "nb_svm",
        NBSVM,
        variants={
            "unigram": {"max_n": 1},
            "trigram": {"max_n": 3},
            "no_ratios": {"ratios": False},
            "interpolated": {"interpolation": 0.25},
        },
        description="Linear on n-gram presence, scaled by naive Bayes log-count ratios",
        paper="Wang and Manning 2012, Baselines and Bigrams: Simple, Good Sentiment and Topic "
        "Classification, ACL 2012",
    )
