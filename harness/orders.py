"""The order of examples, which a seed decides.

An order is a random-access source of chunks: item j holds the positions of the j-th chunk
of steps, and depends on the seed, the epoch and j alone, so an order can be entered anywhere.
What the chunks of an epoch share is made once and kept for the next one; where it would not
fit into memory, each position is computed when it is asked for.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import numpy as np
from grain.experimental import index_shuffle

from harness.errors import UsageError

# steps in one compiled chunk, at most
CHUNK_STEPS = 32
# more examples than this have an order that is computed, position by position, and not kept:
# a permutation of so many takes half a gigabyte
LARGE = 2**26
ROUNDS = 4  # of the cipher that such an order is


@functools.lru_cache(maxsize=2)
def epoch_order(size: int, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch: a permutation int64 [size] from seed and epoch alone."""
    # RandomState's stream is frozen for good; default_rng's may change with numpy
    bits = np.random.MT19937(np.random.SeedSequence((seed, epoch)))
    return np.random.RandomState(bits).permutation(size)


def computed_order(places: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """What stands at some places of an epoch's order, which is kept nowhere.

    Args:
      places: int64 [...], from 0 to `size` - 1.

    Returns:
      Positions int64 [...]; over all places a permutation, which seed and epoch decide.
    """
    [key] = np.random.SeedSequence((seed, epoch)).generate_state(1)
    found = [index_shuffle(int(i), size - 1, int(key), ROUNDS) for i in places.ravel()]
    return np.array(found, np.int64).reshape(places.shape)  # [m] -> [...]


def by_bucket(batches: np.ndarray, bucket: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The same positions [k, b] in batches of about one bucket, the batches in random order.

    Args:
      batches: positions int64 [k, b] in random order, which stay so within a bucket.
      bucket: int32 [n], the number of each position's bucket.
    """
    flat = batches.ravel()  # [k * b]
    grouped = flat[np.argsort(bucket[flat], kind="stable")].reshape(batches.shape)  # [k, b]
    bits = np.random.MT19937(np.random.SeedSequence((seed, epoch, 1)))
    return grouped[np.random.RandomState(bits).permutation(len(grouped))]


@dataclass(frozen=True)
class TrainingOrder:
    """A source of chunks of positions, int32 [k, b], over all epochs.

    Each epoch is a new permutation, cut into steps of `batch_size`; its remainder is
    dropped. The last chunk of an epoch may hold fewer than `chunk` steps. Above `LARGE`
    examples the permutation is another one, and takes no memory. With buckets the
    steps are made of what is left then, so that no length is dropped more than another.

    Attributes:
      bucket: int32 [size], the number of each example's length bucket, or None.
    """

    size: int
    batch_size: int
    chunk: int
    epochs: int
    seed: int
    bucket: np.ndarray | None = field(default=None, compare=False, repr=False)
    _known: dict[int, np.ndarray] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def steps_per_epoch(self) -> int:
        return self.size // self.batch_size

    @property
    def chunks_per_epoch(self) -> int:
        return math.ceil(self.steps_per_epoch / self.chunk)

    @property
    def examples_per_step(self) -> int:
        return self.batch_size

    def __len__(self) -> int:
        return self.epochs * self.chunks_per_epoch

    def __getitem__(self, index: int) -> np.ndarray:
        epoch, part = divmod(index, self.chunks_per_epoch)
        first = part * self.chunk
        if self.size > LARGE:
            last = min(first + self.chunk, self.steps_per_epoch)
            flat = np.arange(first * self.batch_size, last * self.batch_size)
            places = flat.reshape(last - first, self.batch_size)  # [k, b]
            found = computed_order(places, self.size, self.seed, epoch)
            return found.astype(_positions(self.size))
        return self._epoch(epoch)[first : first + self.chunk].astype(np.int32)  # [k, b]

    def _epoch(self, epoch: int) -> np.ndarray:
        """All steps [k, b] of an epoch, kept until the next but one is asked for.

        Threads read ahead, so two epochs may be in use at once.
        """
        batches = self._known.get(epoch)
        if batches is None:
            for old in list(self._known):
                if abs(epoch - old) > 1:
                    self._known.pop(old, None)
            batches = self._known[epoch] = self._batches(epoch)
        return batches

    def _batches(self, epoch: int) -> np.ndarray:
        order = epoch_order(self.size, self.seed, epoch)
        steps = self.steps_per_epoch
        batches = order[: steps * self.batch_size].reshape(steps, self.batch_size)  # [k, b]
        if self.bucket is None:
            return batches
        return by_bucket(batches, self.bucket, self.seed, epoch)


@dataclass(frozen=True)
class EvalOrder:
    """A source of chunks of positions, int32 [k, b], over a split in its own order.

    The last batch is filled up with position 0; `count` says how many are real. With buckets
    the order is that of the buckets, and `restored` gives the split's own.

    Attributes:
      rows: int64 [size], the position of each example in the order of buckets, or None.
    """

    size: int
    batch_size: int
    chunk: int
    rows: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def batches(self) -> int:
        return math.ceil(self.size / self.batch_size)

    def __len__(self) -> int:
        return math.ceil(self.batches / self.chunk)

    def __getitem__(self, index: int) -> np.ndarray:
        first = index * self.chunk
        last = min(first + self.chunk, self.batches)
        flat = np.arange(first * self.batch_size, last * self.batch_size)
        real = flat < self.size
        rows = np.where(real, flat, 0)
        if self.rows is not None:
            rows = np.where(real, self.rows[rows], 0)
        rows = rows.reshape(last - first, self.batch_size)  # [k * b] -> [k, b]
        return rows.astype(_positions(self.size))

    def restored(self, told: np.ndarray) -> np.ndarray:
        """What was told of the examples in this order, [size, ...], in the split's own."""
        if self.rows is None:
            return told
        own = np.empty_like(told)
        own[self.rows] = told
        return own


def _positions(size: int) -> type[np.integer]:
    """The type of positions; only examples that stay on the host are too many for int32."""
    return np.int32 if size <= 2**31 else np.int64


def chunk_length(steps: int) -> int:
    """Steps a compiled chunk: a divisor of the epoch's steps where one is near, at most 32.

    >>> [chunk_length(s) for s in (11, 195, 98, 97)]
    [11, 15, 14, 32]
    """
    if steps <= CHUNK_STEPS:
        return steps
    divisors = [k for k in range(8, CHUNK_STEPS + 1) if steps % k == 0]
    return max(divisors, default=CHUNK_STEPS)


def training_order(
    size: int, *, batch_size: int, epochs: int, seed: int, bucket: np.ndarray | None = None
) -> TrainingOrder:
    """The order of a whole training.

    Args:
      bucket: int32 [size], the number of each example's length bucket, or None.

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
        bucket=bucket,
    )


def eval_order(
    size: int, *, batch_size: int, bucket: np.ndarray | None = None, devices: int = 1
) -> EvalOrder:
    """The order of one evaluation; a batch is no larger than the split.

    Args:
      bucket: int32 [size], the number of each example's length bucket, or None.
      devices: over which each batch is split: they divide it, and so what is filled up.
    """
    batch_size = min(batch_size, math.ceil(size / devices) * devices)
    batches = math.ceil(size / batch_size)
    rows = None if bucket is None else np.argsort(bucket, kind="stable")
    return EvalOrder(
        size=size, batch_size=batch_size, chunk=min(batches, CHUNK_STEPS), rows=rows
    )
