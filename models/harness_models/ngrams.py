"""Averaged vectors of words and of short word sequences, and a linear layer: fastText.

A bag of words loses "not good"; a bag that also holds pairs of neighbours has it as a
feature of its own, at the price of a row in a table. Pairs are too many for rows of their
own, so they share `buckets` rows by a hash. What a model of whole sequences gains over this
one, it gains from order beyond such neighbours.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    Head,
    Rate,
    Size,
    SizeOrZero,
    mean_over_positions,
    text_sizes,
)
from harness_models._ngrams import Buckets, Order, ngram_ids, useful_buckets


class NGrams(nnx.Module):
    """Mean of the vectors of words and hashed n-grams, linear head.

    Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification", EACL 2017,
    arXiv:1607.01759. As there, vectors start uniformly between -1 / width and 1 / width, and
    a text is the mean of those of all its words and n-grams. Those that touch padding are
    left out; a text without a word has a mean of zeros.

    Args:
      data: sequences of tokens; a batch may hold shorter ones than `data.shape`.
      width: of the vectors.
      max_n: words in the longest n-grams; 1 for words alone.
      buckets: vectors that the n-grams of two words and more share; a power of two. A vector
        takes `16 * width` bytes in training with Adam. A vocabulary of few words, whose
        n-grams are few, gets fewer.
      dropout: rate of the dropout layers in the head.
      head_units: relu units between the mean and the logits; 0, as in the paper, for none.

    Raises:
      Unsupported: the data are not sequences of tokens.
      UsageError: `buckets` is no power of two.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        width: Size = 10,
        max_n: Order = 2,
        buckets: Buckets = 2**18,
        dropout: Rate = 0.0,
        head_units: SizeOrZero = 0,
        rngs: nnx.Rngs,
    ) -> None:
        vocab_size, _ = text_sizes(data)
        self.pad_id, self.max_n = data.pad_id, max_n
        self.buckets = useful_buckets(buckets, vocab_size=vocab_size, max_n=max_n)
        # its bound is the root of 3 * scale / width, here 1 / width
        start = initializers.variance_scaling(1 / (3 * width), "fan_out", "uniform")
        self.words = nnx.Embed(vocab_size, width, embedding_init=start, rngs=rngs)
        self.ngrams = (
            nnx.Embed(self.buckets, width, embedding_init=start, rngs=rngs)
            if self.buckets
            else None
        )
        self.head = Head(width, head_units, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]`: logits float32 `[b, c]`."""
        vectors, masks = [], []
        for n in range(1, min(self.max_n, tokens.shape[1]) + 1):
            ids, real = ngram_ids(tokens, n, buckets=self.buckets, pad_id=self.pad_id)
            table = self.words if n == 1 else self.ngrams
            assert table is not None
            vectors.append(table(ids))  # [b, t - n + 1, d]
            masks.append(real)  # [b, t - n + 1]
        x = jnp.concatenate(vectors, axis=1)  # [b, m, d] for m n-grams of all lengths
        return self.head(mean_over_positions(x, jnp.concatenate(masks, axis=1)))


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "ngrams",
        NGrams,
        variants={
            "unigram": {"max_n": 1},
            "trigram": {"max_n": 3},
            "wide": {"width": 50},
            "many_buckets": {"buckets": 2**20},
            "units": {"head_units": 20},
        },
        description="Mean of word and hashed n-gram vectors, linear head (fastText)",
        paper="Joulin et al. 2017, Bag of Tricks for Efficient Text Classification, EACL 2017, "
        "arXiv:1607.01759",
    )
