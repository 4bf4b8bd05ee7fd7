"""The examples of a split, and their way to the device.

Grain iterates over an order of positions, gathers and prefetches. Data that fits lives on
the device, so that only positions travel; data that does not is gathered on the host,
chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import grain
import numpy as np

from harness.errors import ContractError, UsageError
from harness.orders import LARGE, EvalOrder, TrainingOrder
from harness.recipe import one_side
from harness.specs import BatchAccess, DataSpec, RandomAccess, Split, Task
from harness.tasks import CLASSIFICATION

# data above this size stays on the host where the device does not say how much it holds
RESIDENT_BYTES = 2 << 30
# the share of a device's memory that data may take; the rest is for the programs
DATA_SHARE = 0.5
# of a source's examples held at once, where all of them are read for their labels
BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Examples:
    """One split, as arrays or as a source of single examples.

    Attributes:
      arrays: {"x": [n, *shape], "y": [n, ...]}, or None.
      source: a random-access source of {"x": [*shape], "y": [...]}, or None.
      index: int64 [n], the positions of the split's examples in either of them; for all of a
        source a range from 0, which takes no memory.
      resident: whether the arrays go to the device as a whole.
      label_dtype: of y, as the task has it.
    """

    arrays: Mapping[str, np.ndarray] | None
    source: RandomAccess | None
    index: np.ndarray | range
    resident: bool = False
    label_dtype: str = "int32"

    def __len__(self) -> int:
        return len(self.index)

    def gather(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `positions` [...] of the split: x [..., *shape], y [...]."""
        rows = self.rows_at(positions)  # [...]
        if self.arrays is not None:
            return {name: self.arrays[name][rows] for name in ("x", "y")}
        assert self.source is not None
        items = examples_at(self.source, rows.ravel().tolist())
        x = np.stack([np.asarray(item["x"]) for item in items])  # [m, *shape]
        y = np.asarray([item["y"] for item in items], dtype=self.label_dtype)  # [m, ...]
        return {
            "x": x.reshape(*rows.shape, *x.shape[1:]),  # [..., *shape]
            "y": y.reshape(*rows.shape, *y.shape[1:]),  # [..., ...]
        }

    def rows_at(self, positions: np.ndarray) -> np.ndarray:
        """Where the examples at `positions` [...] of the split are: int64 [...]."""
        return positions if isinstance(self.index, range) else self.index[positions]

    def labels(self) -> np.ndarray:
        """[n, ...], the labels in the split's order."""
        if self.arrays is not None:
            return np.asarray(self.arrays["y"])[self.index]
        assert self.source is not None
        block = self._block()
        found = [
            example["y"]
            for first in range(0, len(self), block)
            for example in examples_at(self.source, [*map(int, self.index[first:][:block])])
        ]
        return np.asarray(found, self.label_dtype)

    def _block(self) -> int:
        """How many examples of the source are read, and held, at once."""
        if not isinstance(self.source, BatchAccess):
            return 1
        example = np.asarray(self.source[int(self.index[0])]["x"])
        return max(1, BLOCK_BYTES // max(1, example.nbytes))

    def split(self) -> Split:
        """The examples as a plugin gives and takes them."""
        if self.arrays is not None:
            return {name: self.arrays[name][self.index] for name in ("x", "y")}
        return _Subset(self)


@dataclass(frozen=True)
class _Subset:
    """A random-access view of some examples of a source."""

    examples: Examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        assert self.examples.source is not None
        return self.examples.source[int(self.examples.index[index])]

    def __getitems__(self, indices: Sequence[int], /) -> Sequence[Mapping[str, Any]]:
        assert self.examples.source is not None
        rows = [int(self.examples.index[index]) for index in indices]
        return examples_at(self.examples.source, rows)


def examples_at(source: RandomAccess, positions: Sequence[int]) -> Sequence[Mapping[str, Any]]:
    """Examples of a source, read at once where it can.

    Raises:
      ContractError: it gave another number of examples than it was asked for.
    """
    if not isinstance(source, BatchAccess):
        return [source[position] for position in positions]
    found = source.__getitems__(positions)
    if len(found) != len(positions):
        raise ContractError(
            f"__getitems__ of {type(source).__name__} gave {len(found)} examples for "
            f"{len(positions)} positions; give one for each, in their order"
        )
    return found


def as_examples(
    split: Split,
    spec: DataSpec,
    *,
    name: str,
    limit: int | None,
    task: Task = CLASSIFICATION,
) -> Examples:
    """Checks one split of a `Dataset` against its spec; keeps the first `limit` examples.

    Raises:
      ContractError: keys, shapes, dtypes or labels are not as the spec says.
    """
    if not isinstance(split, Mapping):
        size = len(split)
        one = {k: np.asarray(v)[None] for k, v in split[0].items()}
        _check_arrays(one, spec, name, task)
        index = range(min(size, limit or size))
        return Examples(None, split, index, label_dtype=task.label_dtype)
    arrays = {key: np.asarray(value)[:limit] for key, value in split.items()}
    _check_arrays(arrays, spec, name, task)
    if arrays["y"].dtype != task.label_dtype:
        arrays["y"] = arrays["y"].astype(task.label_dtype)
    size = len(arrays["y"])
    return Examples(arrays, None, np.arange(size), label_dtype=task.label_dtype)


def _check_arrays(
    arrays: Mapping[str, np.ndarray], spec: DataSpec, name: str, task: Task
) -> None:
    if set(arrays) != {"x", "y"}:
        raise ContractError(f"the {name} split has keys {sorted(arrays)}; expected x and y")
    x, y = arrays["x"], arrays["y"]
    label = task.label_shape(spec)
    if x.shape[1:] != spec.shape or y.shape != (*x.shape[:1], *label) or len(y) == 0:
        raise ContractError(
            f"the {name} split has x {list(x.shape)} and y {list(y.shape)}; expected "
            f"x [{_sizes('n', spec.shape)}] and y [{_sizes('n', label)}] with n > 0"
        )
    wanted = np.int32 if spec.kind == "tokens" else np.float32
    kind, words = (
        (np.integer, "integers") if task.label_dtype == "int32" else (np.floating, "floats")
    )
    if x.dtype != wanted or not np.issubdtype(y.dtype, kind):
        raise ContractError(
            f"the {name} split has x of {x.dtype} and y of {y.dtype}; "
            f"expected {np.dtype(wanted)} and {words}"
        )
    if spec.vocab_size is not None and (x.min() < 0 or x.max() >= spec.vocab_size):
        raise ContractError(
            f"the {name} split has token ids from {x.min()} to {x.max()}; "
            f"expected 0 to {spec.vocab_size - 1}"
        )
    fault = task.fault(y, spec)
    if fault:
        raise ContractError(f"the {name} split has {fault}")


def _sizes(first: str, rest: tuple[int, ...]) -> str:
    return ", ".join([first, *map(str, rest)])


class _HasMemory(Protocol):
    def memory_stats(self) -> dict[str, int] | None: ...


def room(device: _HasMemory) -> int:
    """Bytes of data that a device may be given: half of its memory.

    Not of what is free: the same run must make the same program every time.
    """
    stats = device.memory_stats()
    if not stats or "bytes_limit" not in stats:
        return RESIDENT_BYTES
    return int(DATA_SHARE * stats["bytes_limit"])


def place_within(room: int, *splits: Examples) -> tuple[Examples, ...]:
    """Marks each split as resident that fits beside the resident ones before it."""
    placed: list[Examples] = []
    for examples in splits:
        size = sum(array.nbytes for array in (examples.arrays or {}).values())
        fits = examples.arrays is not None and size <= room
        room -= size if fits else 0
        placed.append(replace(examples, resident=fits))
    return tuple(placed)


def hold_out(examples: Examples, fraction: float) -> tuple[Examples, Examples]:
    """Splits off a fraction for validation; the same for every run.

    It keeps the share of each class; labels that are not one class each are drawn from
    without regard to them.

    Returns:
      The rest for training, and the validation examples.

    Raises:
      UsageError: one of them would be empty; says which fraction is none too small or large.
    """
    if len(examples) > LARGE:
        raise UsageError(
            f"--validation reads the label of each of the {len(examples)} training examples, "
            f"and at most {LARGE} can be asked for; lower --limit, or leave --validation out"
        )
    labels = examples.labels()
    if labels.ndim > 1 or not np.issubdtype(labels.dtype, np.integer):
        labels = np.zeros(len(examples), np.int32)
    held = np.zeros(len(examples), dtype=bool)
    random = np.random.RandomState(0)
    classes, sizes = np.unique(labels, return_counts=True)
    for label in classes:
        of_class = random.permutation(np.flatnonzero(labels == label))
        held[of_class[: round(fraction * len(of_class))]] = True
    if not held.any() or held.all():
        told = one_side(all_held=bool(held.any()), size=int(sizes.max(initial=0)))
        raise UsageError(f"--validation {fraction:g} of {len(examples)} examples {told}")
    return _at(examples, ~held), _at(examples, held)


def _at(examples: Examples, mask: np.ndarray) -> Examples:
    return replace(examples, index=examples.rows_at(np.flatnonzero(mask)))


@dataclass(frozen=True)
class Chunk:
    """What one execution of a compiled program is fed.

    Attributes:
      payload: positions int32 [K, b] for resident data, otherwise the examples
        {"x": [K, b, *shape], "y": int32 [K, b]}; padded to the compiled length K.
      steps: how many of the K are real.
    """

    payload: Any
    steps: int


def chunks(
    examples: Examples,
    order: TrainingOrder | EvalOrder,
    *,
    start: int = 0,
    share: slice = slice(None),
) -> Iterator[Chunk]:
    """Iterates over an order through Grain, gathering where data is not resident.

    Args:
      start: how many chunks are left out at the beginning.
      share: which examples of each batch this process feeds; the others it never reads.
    """

    def load(positions: np.ndarray) -> Chunk:
        steps, positions = len(positions), positions[:, share]  # [k, b]
        if examples.resident:
            return Chunk(_pad(examples.rows_at(positions).astype(np.int32), order.chunk), steps)
        batch = examples.gather(positions)
        return Chunk({k: _pad(v, order.chunk) for k, v in batch.items()}, steps)

    pipeline = grain.MapDataset.source(order).slice(slice(start, None)).map(load)
    # positions cost microseconds: threads would cost more than they hide
    threads, ahead = (0, 0) if examples.resident else (2, 4)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)
    return iter(pipeline.to_iter_dataset(options))


def _pad(array: np.ndarray, length: int) -> np.ndarray:
    """Repeats the last step until there are `length`, so that every chunk has one shape."""
    missing = length - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array
