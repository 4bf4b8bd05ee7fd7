"""The order of examples, which a seed decides.

An order is a random-access source of chunks: item j holds the positions of the j-th chunk
of steps, and is computed from the seed, the epoch and j alone. Nothing is remembered
between items, so an order can be entered anywhere.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError

# steps in one compiled chunk, at most
CHUNK_STEPS = 32


@functools.lru_cache(maxsize=2)
def epoch_order(size: int, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch: a permutation int64 [size] from seed and epoch alone."""
    # RandomState's stream is frozen for good; default_rng's may change with numpy
    bits = np.random.MT19937(np.random.SeedSequence((seed, epoch)))
    return np.random.RandomState(bits).permutation(size)


@dataclass(frozen=True)
class TrainingOrder:
    """A source of chunks of positions, int32 [k, b], over all epochs.

    Each epoch is a new permutation, cut into steps of `batch_size`; its remainder is
    dropped. The last chunk of an epoch may hold fewer than `chunk` steps.
    """

    size: int
    batch_size: int
    chunk: int
    epochs: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        return self.size // self.batch_size

    @property
    def chunks_per_epoch(self) -> int:
        return math.ceil(self.steps_per_epoch / self.chunk)

    def __len__(self) -> int:
        return self.epochs * self.chunks_per_epoch

    def __getitem__(self, index: int) -> np.ndarray:
        epoch, part = divmod(index, self.chunks_per_epoch)
        order = epoch_order(self.size, self.seed, epoch)
        first = part * self.chunk
        last = min(first + self.chunk, self.steps_per_epoch)
        positions = order[first * self.batch_size : last * self.batch_size]
        return positions.reshape(last - first, self.batch_size).astype(np.int32)  # [k, b]


@dataclass(frozen=True)
class EvalOrder:
    """A source of chunks of positions, int32 [k, b], over a split in its own order.

    The last batch is filled up with position 0; `count` says how many are real.
    """

    size: int
    batch_size: int
    chunk: int

    @property
    def batches(self) -> int:
        return math.ceil(self.size / self.batch_size)

    def __len__(self) -> int:
        return math.ceil(self.batches / self.chunk)

    def __getitem__(self, index: int) -> np.ndarray:
        first = index * self.chunk
        last = min(first + self.chunk, self.batches)
        flat = np.arange(first * self.batch_size, last * self.batch_size)
        flat[flat >= self.size] = 0
        return flat.reshape(last - first, self.batch_size).astype(np.int32)  # [k, b]


def chunk_length(steps: int) -> int:
    """Steps a compiled chunk: a divisor of the epoch's steps where one is near, at most 32.

    >>> [chunk_length(s) for s in (11, 195, 98, 97)]
    [11, 15, 14, 32]
    """
    if steps <= CHUNK_STEPS:
        return steps
    divisors = [k for k in range(8, CHUNK_STEPS + 1) if steps % k == 0]
    return max(divisors, default=CHUNK_STEPS)


def training_order(size: int, *, batch_size: int, epochs: int, seed: int) -> TrainingOrder:
    """The order of a whole training.

    Raises:
      UsageError: there are fewer examples than one batch holds.
    """
    steps = size // batch_size
    if steps == 0:
        raise UsageError(
            f"--batch-size {batch_size} is more than the {size} training examples; "
            f"use at most {size}"
        )
    return TrainingOrder(
        size=size,
        batch_size=batch_size,
        chunk=chunk_length(steps),
        epochs=epochs,
        seed=seed,
    )


def eval_order(size: int, *, batch_size: int) -> EvalOrder:
    """The order of one evaluation; a batch is no larger than the split."""
    batch_size = min(batch_size, size)
    batches = math.ceil(size / batch_size)
    return EvalOrder(size=size, batch_size=batch_size, chunk=min(batches, CHUNK_STEPS))
