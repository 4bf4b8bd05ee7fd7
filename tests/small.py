"""Small data and models that several tests share."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import harness
from harness.events import Array, EpochEnd, Event, Measured
from harness.specs import Split


def token_spec(*, length: int = 12, vocab: int = 30, classes: int = 2) -> harness.DataSpec:
    return harness.DataSpec(
        kind="tokens", shape=(length,), vocab_size=vocab, num_classes=classes, pad_id=0,
        fingerprint="small",
    )  # fmt: skip


def token_data(*, train: int = 100, test: int = 37) -> harness.Dataset:
    """The label says whether the first token is in the upper half: easy to learn."""
    spec = token_spec()
    x = np.random.RandomState(0).randint(1, 30, (train + test, 12)).astype(np.int32)
    y = (x[:, 0] > 15).astype(np.int32)
    return harness.Dataset(
        {"x": x[:train], "y": y[:train]}, {"x": x[train:], "y": y[train:]}, spec
    )


class Source:
    """The examples of a split by position, as a Grain source gives them."""

    def __init__(self, split: Split):
        self._split = arrays(split)

    def __len__(self) -> int:
        return len(self._split["y"])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {name: array[index] for name, array in self._split.items()}


class Bag(nnx.Module):
    """Mean of embeddings, dropout, batch statistics: every kind of state there is."""

    def __init__(self, data: harness.DataSpec, *, width: int = 8, rngs: nnx.Rngs):
        assert data.vocab_size is not None
        self.embed = nnx.Embed(data.vocab_size, width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.head = nnx.Linear(width, data.num_classes, rngs=rngs)

    def __call__(self, tokens):
        x = self.embed(tokens).mean(axis=1)  # [b, d]
        return self.head(self.dropout(self.norm(x)))


class Heard:
    """Collects events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def measured(self) -> dict:
        values: dict = {}
        for event in self.events:
            if isinstance(event, Measured):
                values |= event.values
        return values

    @property
    def epochs(self) -> list[dict]:
        return [dict(e.values) for e in self.events if isinstance(e, EpochEnd)]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        import io

        return {
            e.name: np.load(io.BytesIO(e.npy), allow_pickle=False)
            for e in self.events
            if isinstance(e, Array)
        }


def arrays(split: Split) -> dict[str, np.ndarray]:
    """A split that is known to be arrays."""
    assert isinstance(split, Mapping)
    return dict(split)


def new_rngs() -> nnx.Rngs:
    return nnx.Rngs(jax.random.key(0))


def normal(*shape: int, seed: int = 1) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def mask_of(*rows: str) -> jax.Array:
    """One string a row: `.` is padding, `x` is a token."""
    return jnp.array([[letter == "x" for letter in row] for row in rows])
