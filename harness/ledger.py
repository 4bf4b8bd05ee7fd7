"""What a training has measured so far: written down at checkpoints, said at the end.

All seconds. Steps are timed in blocks; what goes on around them (waiting for data,
evaluation, checkpoints) has clocks of its own and is in no block.
"""

from __future__ import annotations

import base64
import io
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness import timing
from harness.events import Array, Measured
from harness.recipe import Recipe


@dataclass
class Recompiles:
    """What was compiled when everything should have been."""

    counter: timing.CompileCounter = field(default_factory=timing.compile_counter)
    seen: int = 0
    names: list[str] = field(default_factory=list)

    def skip(self) -> None:
        """Takes what was compiled since the last look for warm-up."""
        self.seen = self.counter.compilations

    def note(self) -> None:
        """Takes it for compiled again."""
        self.names += self.counter.compiled[self.seen :]
        self.skip()


@dataclass
class Ledger:
    """What a training adds up while it goes on.

    Attributes:
      blocks, losses: one entry an execution of the training program; losses float32 [steps].
      history: one entry an epoch, with names of `EPOCH_COLUMNS`.
      chunks, steps: what is behind, over all epochs.
      wall_s: training from chunk to chunk, without evaluations and checkpoints.
      wait_s, eval_s, checkpoint_s, observer_s: spent on data, on evaluations, on
        checkpoints, by observers.
      resumed: how often the training was taken up again from a checkpoint.
      best_score: of the epoch that counts so far; not written down, it follows from
        the history.
    """

    blocks: list[timing.Block] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    chunks: int = 0
    steps: int = 0
    wall_s: float = 0.0
    wait_s: float = 0.0
    eval_s: float = 0.0
    checkpoint_s: float = 0.0
    resumed: int = 0
    best_score: float = -math.inf
    observer_s: float = 0.0
    recompiles: Recompiles = field(default_factory=Recompiles)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Adds the time of the block to the training's wall time, also if it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.wall_s += time.perf_counter() - start

    def add(self, block: timing.Block, losses: np.ndarray) -> None:
        """Steps that were taken, with their losses float32 [steps]."""
        self.blocks.append(block)
        self.losses.append(losses)
        self.steps += block.steps

    def since(self, steps: int) -> tuple[np.ndarray, float]:
        """The losses float32 [n] behind so many steps, and the seconds they took.

        No block lies on both sides of `steps`, which is the end of an epoch.
        """
        count, left = 0, self.steps - steps
        while left > 0:
            count += 1
            left -= self.blocks[-count].steps
        first = len(self.blocks) - count
        seconds = sum(block.seconds for block in self.blocks[first:])
        return np.concatenate(self.losses[first:]), seconds

    def columns(self, recipe: Recipe) -> Measured:
        """The columns on time, of a training that has taken at least one step."""
        busy = sum(b.seconds for b in self.blocks)
        wall = max(self.wall_s, busy)
        return Measured(
            {
                "first_step_ms": 1e3 * self.blocks[0].seconds / self.blocks[0].steps,
                **timing.step_times(self.blocks, batch_size=recipe.batch_size),
                "recompiles": len(self.recompiles.names),
                "recompiled": timing.named(self.recompiles.names),
                "train_s": busy,
                "eval_s": self.eval_s,
                "observer_s": self.observer_s,
                "checkpoint_s": self.checkpoint_s,
                "resumed": self.resumed,
                "data_wait_pct": 100 * self.wait_s / wall,
                "host_overhead_pct": 100 * max(0.0, wall - busy - self.wait_s) / wall,
            }
        )

    def arrays(self) -> list[Array]:
        """The loss of each step and the time of each block."""
        losses = np.concatenate(self.losses) if self.losses else np.zeros(0)
        return [
            named_array("train_loss", losses.astype(np.float32)),
            named_array("block_steps", np.array([b.steps for b in self.blocks], np.int32)),
            named_array("block_s", np.array([b.seconds for b in self.blocks], np.float64)),
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values; arrays as text, so that they come back to the bit."""
        plain = (
            "history",
            "chunks",
            "steps",
            "wall_s",
            "wait_s",
            "eval_s",
            "checkpoint_s",
            "observer_s",
            "resumed",
        )
        return {
            **{name: getattr(self, name) for name in plain},
            "recompiled": self.recompiles.names,
            "arrays": {a.name: base64.b64encode(a.npy).decode() for a in self.arrays()},
        }


def ledger_from_json(values: Mapping[str, Any]) -> Ledger:
    """The inverse of `Ledger.to_json`."""
    rest = dict(values)
    arrays = {
        name: np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
        for name, text in rest.pop("arrays").items()
    }
    steps, seconds = arrays["block_steps"].tolist(), arrays["block_s"].tolist()
    return Ledger(
        blocks=[timing.Block(n, s) for n, s in zip(steps, seconds, strict=True)],
        losses=np.split(arrays["train_loss"], np.cumsum(steps)[:-1]) if steps else [],
        recompiles=Recompiles(names=rest.pop("recompiled")),
        **rest,
    )


def named_array(name: str, array: np.ndarray) -> Array:
    """A result array: the bytes of its .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return Array(name, buffer.getvalue())
