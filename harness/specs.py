"""The values that plugins and the harness hand each other.

A data set plugin returns a `Dataset`; its `DataSpec` is all that a model ever learns
about the data before training. Shapes are written with these letters everywhere:
`n` examples, `b` batch, `t` positions, `d` width, `h` heads, `c` classes, `k` steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from harness.errors import ContractError

if TYPE_CHECKING:
    import jax
    import numpy as np

# the arrays of a split by name, or a source of its examples by position
Split: TypeAlias = "Mapping[str, np.ndarray] | RandomAccess"

KINDS = ("tokens", "features", "image")


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What a model is told about the data.

    Attributes:
      kind: "tokens" (int32 ids), "features" or "image" (float32 values).
      shape: of one example, without the batch; `(200,)` for 200 tokens.
      vocab_size: ids run from 0 to `vocab_size - 1`; None unless kind is "tokens".
      num_classes: how many outputs a model has: classes, whose labels run from 0 to
        `num_classes - 1`; labels of "multi_label"; targets of "regression".
      class_names: one name each; empty means "0", "1", ...
      pad_id: the id that stands for "no token"; None where nothing is padding.
      buckets: lengths that batches of tokens are cut to, ascending, the last one the whole
        length: a batch loses the positions in front in which all of its examples are padding,
        as far as one of these lengths allows. Empty cuts nothing.
      task: what is asked of a model: "classification", "multi_label", "regression" or the
        name of a task that a plugin registers.
      fingerprint: hash of the data and its preparation.

    Raises:
      ContractError: a field contradicts another one.
    """

    kind: Literal["tokens", "features", "image"]
    shape: tuple[int, ...]
    vocab_size: int | None = None
    num_classes: int
    class_names: tuple[str, ...] = ()
    pad_id: int | None = None
    buckets: tuple[int, ...] = ()
    task: str = "classification"
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ContractError(f"DataSpec.kind is {self.kind!r}; use one of {KINDS}")
        least = 2 if self.task == "classification" else 1
        if self.num_classes < least:
            raise ContractError(
                f"DataSpec.num_classes is {self.num_classes}; at least {least} are needed"
            )
        if (self.kind == "tokens") != (self.vocab_size is not None):
            raise ContractError(
                f"DataSpec.vocab_size is {self.vocab_size} with kind {self.kind!r}; "
                "give it for tokens and for nothing else"
            )
        if not self.class_names:
            names = tuple(str(i) for i in range(self.num_classes))
            object.__setattr__(self, "class_names", names)
        if len(self.class_names) != self.num_classes:
            raise ContractError(
                f"DataSpec has {len(self.class_names)} class_names "
                f"for {self.num_classes} classes; give one name a class"
            )
        self._check_buckets()

    def _check_buckets(self) -> None:
        if not self.buckets:
            return
        if self.kind != "tokens" or len(self.shape) != 1 or self.pad_id is None:
            raise ContractError(
                "DataSpec.buckets are for padded sequences of tokens; this data is of kind "
                f"{self.kind!r}, shape {self.shape} and pad_id {self.pad_id}"
            )
        ascending = self.buckets == tuple(sorted(set(self.buckets)))
        if not ascending or self.buckets[0] < 1 or self.buckets[-1] != self.shape[0]:
            raise ContractError(
                f"DataSpec.buckets is {self.buckets}; give lengths of one or more positions, "
                f"ascending, the last one {self.shape[0]}"
            )


class RandomAccess(Protocol):
    """A source of examples by position, as Grain's `MapDataset` and its data sources are."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """Returns one example: {"x": array of the spec's shape, "y": label}."""
        ...


@runtime_checkable
class BatchAccess(Protocol):
    """A source that reads many examples at once for less than as many reads of one take.

    Files are such sources: one read of Grain's `ArrayRecordDataSource` takes a time that grows
    with the records of a file, and takes it once for all that is asked for together.
    """

    def __getitems__(self, indices: Sequence[int], /) -> Sequence[Mapping[str, Any]]:
        """Returns what `__getitem__` does at each position, in the order of the positions."""
        ...


@dataclass(frozen=True)
class Dataset:
    """Two splits and what is known about them.

    Attributes:
      train: `{"x": [n, *shape], "y": int32 [n]}` or a random-access source of single
        examples `{"x": [*shape], "y": []}`. Labels of "multi_label" are int32 [n, c], those
        of "regression" float32 [n, c].
      test: the same.
      spec: what a model is told.
      decode: turns one `x` row back into something to read; None if nothing can.
      encode: turns a text into one `x` row [*shape], prepared as the splits are, and raises
        `UsageError` for a text that is none; None if nothing can.
    """

    train: Split
    test: Split
    spec: DataSpec
    decode: Callable[[np.ndarray], str] | None = None
    encode: Callable[[str], np.ndarray] | None = None


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file that a data set needs and that the harness knows how to obtain.

    Attributes:
      name: its name in `HARNESS_DATA_DIR/<data set>/` and in the cache.
      url: where the published file is.
      size: its length in bytes, None if not published.
      sha256: its published checksum; give this one or the next.
      md5: the same in another form, where only that is published.
      check: reads a local file and raises `DataError` if it is something else.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    check: Callable[[Path], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What labels are, and how outputs are judged by them: what a hook for tasks registers.

    `outputs` are float32 [b, c] with c = `spec.num_classes`, `labels` [b, *label_shape]. The
    functions of JAX arrays are traced into the compiled programs.

    Attributes:
      label_dtype: "int32" or "float32".
      label_shape: of one label, from the spec.
      fault: what is wrong with labels [n, *label_shape], in words; "" if nothing is.
      losses: (outputs, labels) to float32 [b]; their mean is what training descends.
      probabilities: (model, outputs) to [b, c], what the outputs stand for.
      answers: (outputs, probabilities) to arrays [b, ...] by name: "predicted", and what
        else is kept of each test example.
      correct: (answers, labels) to bool [b], whose mean is the accuracy; None where nothing is
        simply right or wrong. Then `--select best` takes the smallest loss.

    Raises:
      ContractError: `label_dtype` is another one.
    """

    label_dtype: Literal["int32", "float32"]
    label_shape: Callable[[DataSpec], tuple[int, ...]]
    fault: Callable[[np.ndarray, DataSpec], str]
    losses: Callable[[jax.Array, jax.Array], jax.Array]
    probabilities: Callable[[Any, jax.Array], jax.Array]
    answers: Callable[[jax.Array, jax.Array], dict[str, jax.Array]]
    correct: Callable[[Mapping[str, jax.Array], jax.Array], jax.Array] | None

    def __post_init__(self) -> None:
        if self.label_dtype not in ("int32", "float32"):
            raise ContractError(
                f"Task.label_dtype is {self.label_dtype!r}; use 'int32' or 'float32'"
            )


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model says of every example of a split: what a metric is given.

    Host arrays of exactly the split's examples, in its order.

    Attributes:
      outputs: float32 [n, c].
      probabilities: float32 [n, c], what the task makes of them: rows that sum to one for
        "classification", one probability a label for "multi_label", the outputs themselves
        for "regression".
      labels: int32 [n] for "classification", [n, c] for the two others.
      spec: the data set's.
    """

    outputs: np.ndarray
    probabilities: np.ndarray
    labels: np.ndarray
    spec: DataSpec


@runtime_checkable
class Prepares(Protocol):
    """A model that looks at the training split once, on the host, before training."""

    def prepare(self, train: Split) -> None:
        """Looks at the training split: `{"x": [n, *shape], "y": int32 [n]}`, or a source."""
        ...


@runtime_checkable
class GivesProbabilities(Protocol):
    """A model whose outputs are not plain logits says how they become probabilities.

    Without this method the harness takes the softmax of the outputs. Only classification
    asks for it.
    """

    def probabilities(self, outputs: jax.Array) -> jax.Array:
        """Turns outputs `[b, c]` into probabilities `[b, c]` that sum to one."""
        ...
