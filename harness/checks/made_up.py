"""Data that no plugin brought: specs of each kind, and examples that fit them.

The sizes are odd on purpose: a model that carries a size of its own in its code meets another
one here. Padding stands in front, as in every data set.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.checks.check import NotApplicable
from harness.specs import DataSpec

TOKENS = DataSpec(
    kind="tokens", shape=(12,), vocab_size=23, num_classes=3, pad_id=0, fingerprint="made-up"
)
FEATURES = DataSpec(kind="features", shape=(7,), num_classes=3, fingerprint="made-up")
IMAGE = DataSpec(kind="image", shape=(9, 9, 1), num_classes=3, fingerprint="made-up")
SPECS = (TOKENS, FEATURES, IMAGE)


def foreign(spec: DataSpec) -> DataSpec:
    """A spec of the same kind in which every size is another one."""
    # images keep their channels, and stay as square as they were
    shape = tuple(size + 3 for size in spec.shape[:2]) + spec.shape[2:]
    return replace(
        spec, shape=shape, num_classes=spec.num_classes + 2, class_names=(),
        vocab_size=None if spec.vocab_size is None else spec.vocab_size + 5,
    )  # fmt: skip


def examples(spec: DataSpec, count: int, *, seed: int) -> dict[str, np.ndarray]:
    """Examples that can be told apart by their class.

    Returns:
      {"x": [count, *shape] int32 or float32, "y": int32 [count], or as the task has them}

    Raises:
      NotApplicable: nobody knows what labels of the task look like.
    """
    draw = np.random.default_rng(seed)
    y = np.arange(count, dtype=np.int32) % spec.num_classes  # [n]
    if spec.kind != "tokens":
        centres = draw.standard_normal((spec.num_classes, *spec.shape))
        x = centres[y] + 0.3 * draw.standard_normal((count, *spec.shape))
        return {"x": x.astype(np.float32), "y": _labels(y, spec)}
    assert spec.vocab_size is not None
    x = draw.integers(0, spec.vocab_size, (count, *spec.shape), dtype=np.int32)
    if spec.pad_id is not None:
        x[x == spec.pad_id] = (spec.pad_id + 1) % spec.vocab_size
    # half of the positions say which class it is
    signs = (np.arange(spec.num_classes) + 2) % spec.vocab_size  # [c]
    told = draw.random(x.shape) < 0.5
    x = np.where(told, signs[y].reshape(-1, *[1] * len(spec.shape)), x)  # [n, *shape]
    return {"x": padded(x, spec).astype(np.int32), "y": _labels(y, spec)}


def _labels(y: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Classes int32 [n] as labels of the spec's task."""
    if spec.task == "classification":
        return y
    one_hot = np.eye(spec.num_classes, dtype=np.int32)[y]  # [n, c]
    if spec.task == "multi_label":
        return one_hot
    if spec.task == "regression":
        return one_hot.astype(np.float32)
    raise NotApplicable(f"no labels can be made up for the task {spec.task!r}")


def padded(x: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Tokens [n, t] whose rows begin with more and more padding; the last always stays."""
    if spec.pad_id is None:
        return x
    length = x.shape[1]
    count = np.arange(len(x)) % max(1, length // 2)  # [n]
    return np.where(np.arange(length) < count[:, None], spec.pad_id, x)  # [n, t]
