"""The shared engine: every model on every data set goes through `fit`.

It is given a model and a data set, trains with one compiled program, evaluates with
another, and says what it measures as events. What it measured before a failure is said
as well.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness import feed, orders, program, timing
from harness.assemble import Emit, Evaluator, Prepared, Trainer, prepare
from harness.errors import Diverged
from harness.events import Array, EpochEnd, Measured, Phase, Progress
from harness.metrics import Evaluation
from harness.recipe import Recipe
from harness.specs import Dataset

# seconds between two progress events
PROGRESS_EVERY = 0.2


@dataclass
class _Recompiles:
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
class _Clock:
    """What a training adds up while it goes on; all in seconds."""

    blocks: list[timing.Block] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)
    wall_s: float = 0.0
    wait_s: float = 0.0
    eval_s: float = 0.0
    shown_at: float = 0.0
    recompiles: _Recompiles = field(default_factory=_Recompiles)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Adds the time of the block to the training's wall time, also if it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.wall_s += time.perf_counter() - start


def fit(
    model: nnx.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    emit: Emit,
    load_s: float = 0.0,
) -> program.TrainState:
    """Trains and evaluates a model; everything it learns on the way goes to `emit`.

    Args:
      load_s: seconds that loading the data set took; `data_s` adds placing it.

    Returns:
      The state of the epoch that counts.

    Raises:
      ContractError: the data or the model's outputs are not as the contract says.
      Diverged: a loss is not a finite number.
    """
    prepared = prepare(model, dataset, recipe, seed=seed, emit=emit, load_s=load_s)
    clock = _Clock()
    try:
        return _train(prepared, recipe, clock, emit)
    finally:
        # also after a failure: what was measured until then is kept
        _emit_timings(clock, recipe, emit)


@dataclass
class _Chosen:
    """The epoch that counts so far."""

    accuracy: float = -1.0
    state: program.TrainState | None = None


def _train(prepared: Prepared, recipe: Recipe, clock: _Clock, emit: Emit) -> program.TrainState:
    state, chosen = prepared.state, _Chosen()
    validated = prepared.evaluate is not prepared.final
    feeder = prepared.trainer.chunks()
    clock.recompiles.skip()
    judged = None
    for epoch in range(1, recipe.epochs + 1):
        emit(Phase("train"))
        start = len(clock.blocks)
        with clock.training():
            state, loss = _train_epoch(prepared.trainer, state, feeder, epoch, clock, emit)
        clock.recompiles.note()
        emit(Phase("evaluate"))
        judged, eval_s = _timed_evaluation(prepared.evaluate, state, clock)
        prefix = "val" if validated else "test"
        history = {
            "epoch": epoch, "train_loss": loss, f"{prefix}_loss": judged.loss,
            f"{prefix}_accuracy": judged.accuracy,
            "train_s": sum(b.seconds for b in clock.blocks[start:]), "eval_s": eval_s,
        }  # fmt: skip
        emit(EpochEnd(history))
        if _choose(chosen, judged.accuracy, state, recipe):
            emit(Measured(_quality(history)))
        if epoch == 1:
            clock.recompiles.skip()  # the first evaluation is warm-up too
        clock.recompiles.note()
    state = state if chosen.state is None else chosen.state
    if judged is None or validated:
        judged, _ = _timed_evaluation(prepared.final, state, clock)
        emit(Measured({"test_loss": judged.loss, "test_accuracy": judged.accuracy}))
    emit(_array("test_predicted", _narrow(judged.predicted)))
    emit(_array("test_probability", judged.probability.astype(np.float16)))
    return state


def _choose(
    chosen: _Chosen, accuracy: float, state: program.TrainState, recipe: Recipe
) -> bool:
    """Whether this epoch counts now; keeps its state where a later one may not."""
    if recipe.select == "best":
        if accuracy <= chosen.accuracy:
            return False
        # a copy, because the next epoch donates the state's buffers
        chosen.state = jax.tree.map(jnp.copy, state)
    chosen.accuracy = accuracy
    return True


def _quality(history: dict[str, Any]) -> dict[str, Any]:
    """The columns of the group "quality" that an epoch's history holds."""
    names = ("train_loss", "test_loss", "test_accuracy", "val_loss", "val_accuracy")
    quality = {name: history[name] for name in names if name in history}
    return quality | {"best_epoch": history["epoch"]}


def _train_epoch(
    trainer: Trainer,
    state: program.TrainState,
    feeder: Iterator[feed.Chunk],
    epoch: int,
    clock: _Clock,
    emit: Emit,
) -> tuple[program.TrainState, float]:
    """Runs the epoch's chunks; returns the state and the mean training loss."""
    order = trainer.order
    done = 0
    losses: list[np.ndarray] = []
    for _ in range(order.chunks_per_epoch):
        asked = time.perf_counter()
        chunk = next(feeder)
        clock.wait_s += time.perf_counter() - asked
        for part in _first_step_apart(chunk, is_first=not clock.blocks):
            state, part_losses, block = trainer(state, part)
            if not clock.blocks:
                clock.recompiles.skip()
            clock.blocks.append(block)
            losses.append(part_losses)
            clock.losses.append(part_losses)
            _check_finite(part_losses, (epoch - 1) * order.steps_per_epoch + done)
            done += part.steps
            _show_progress(order, epoch, done, float(part_losses[-1]), clock, emit)
    return state, float(np.concatenate(losses).mean(dtype=np.float64))


def _first_step_apart(chunk: feed.Chunk, *, is_first: bool) -> list[feed.Chunk]:
    """Cuts the very first step off, so that its time is known by itself."""
    if not is_first or chunk.steps == 1:
        return [chunk]
    rest = jax.tree.map(lambda a: np.concatenate([a[1:], a[-1:]]), chunk.payload)  # [K, b]
    return [feed.Chunk(chunk.payload, 1), feed.Chunk(rest, chunk.steps - 1)]


def _check_finite(losses: np.ndarray, done: int) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        step = done + int(bad[0]) + 1
        raise Diverged(
            f"training loss {losses[bad[0]]} at step {step}; try a smaller --learning-rate"
        )


def _show_progress(
    order: orders.TrainingOrder, epoch: int, done: int, loss: float, clock: _Clock, emit: Emit
) -> None:
    now = time.perf_counter()
    if now - clock.shown_at < PROGRESS_EVERY:
        return
    clock.shown_at = now
    block = clock.blocks[-1]
    rate = order.batch_size * block.steps / block.seconds
    emit(Progress(epoch, order.epochs, done, order.steps_per_epoch, loss, rate))


def _timed_evaluation(
    evaluate: Evaluator, state: program.TrainState, clock: _Clock
) -> tuple[Evaluation, float]:
    start = time.perf_counter()
    judged = evaluate(state)  # host arrays: the device is done
    seconds = time.perf_counter() - start
    clock.eval_s += seconds
    if not np.isfinite(judged.loss):
        raise Diverged(f"evaluation loss {judged.loss}; try a smaller --learning-rate")
    return judged, seconds


def _narrow(predicted: np.ndarray) -> np.ndarray:
    """Class numbers in one byte where they fit."""
    wide = predicted.max(initial=0) > np.iinfo(np.uint8).max
    return predicted.astype(np.uint16 if wide else np.uint8)


def _emit_timings(clock: _Clock, recipe: Recipe, emit: Emit) -> None:
    blocks = clock.blocks
    if not blocks:
        return
    busy = sum(b.seconds for b in blocks)
    wall = max(clock.wall_s, busy)
    emit(
        Measured(
            {
                "first_step_ms": 1e3 * blocks[0].seconds / blocks[0].steps,
                **timing.step_times(blocks, batch_size=recipe.batch_size),
                "recompiles": len(clock.recompiles.names),
                "recompiled": timing.named(clock.recompiles.names),
                "train_s": busy,
                "eval_s": clock.eval_s,
                "observer_s": 0.0,
                "data_wait_pct": 100 * clock.wait_s / wall,
                "host_overhead_pct": 100 * max(0.0, wall - busy - clock.wait_s) / wall,
            }
        )
    )
    losses = np.concatenate(clock.losses) if clock.losses else np.zeros(0)
    emit(_array("train_loss", losses.astype(np.float32)))
    emit(_array("block_steps", np.array([b.steps for b in blocks], np.int32)))
    emit(_array("block_s", np.array([b.seconds for b in blocks], np.float64)))


def _array(name: str, array: np.ndarray) -> Array:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return Array(name, buffer.getvalue())
