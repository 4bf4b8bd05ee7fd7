"""The shared engine: every model on every data set goes through `fit`.

It is given a model and a data set, trains with one compiled program, evaluates with
another, and says what it measures as events. What it measured before a failure is said
as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness import feed, program
from harness.assemble import PLAIN, Emit, Evaluator, Parts, Prepared, prepare
from harness.checkpoints import Checkpoint, Checkpoints
from harness.epochs import epoch_of, tell_answers, tell_epoch
from harness.errors import Diverged
from harness.events import Measured, Note, Phase, Progress
from harness.ledger import Ledger, ledger_from_json
from harness.measures import measure
from harness.metrics import Evaluation
from harness.recipe import Recipe
from harness.specs import Dataset, DataSpec

# seconds between two progress events
PROGRESS_EVERY = 0.2


class Watched(Protocol):
    """Whoever observes a training. Its time is its own, and in no other column.

    Attributes:
      seconds: that it has taken so far.
    """

    seconds: float

    def chunk_end(self, *, step: int, losses: np.ndarray, seconds: float) -> None: ...

    def evaluation_end(self, *, epoch: int, values: Mapping[str, Any]) -> None: ...


@dataclass
class Nobody:
    """Observes nothing."""

    seconds: float = 0.0

    def chunk_end(self, *, step: int, losses: np.ndarray, seconds: float) -> None:
        pass

    def evaluation_end(self, *, epoch: int, values: Mapping[str, Any]) -> None:
        pass


def fit(
    model: nnx.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    emit: Emit,
    load_s: float = 0.0,
    checkpoints: Checkpoints | None = None,
    parts: Parts = PLAIN,
    watched: Watched | None = None,
    trained: Callable[[program.TrainState], None] | None = None,
    test: bool = True,
) -> program.TrainState:
    """Trains and evaluates a model; everything it learns on the way goes to `emit`.

    Args:
      load_s: seconds that loading the data set took; `data_s` adds placing it.
      checkpoints: where a long training writes down how far it is; None writes nothing.
      parts: the task, and what else plugins bring.
      watched: hears of chunks and evaluations; None for nobody.
      trained: is given the state of the epoch that counts before metrics are measured.
      test: whether the test set is evaluated; without it there has to be validation.

    Returns:
      The state of the epoch that counts.

    Raises:
      Exception: what a metric raised, after everything else has been said.
      ContractError: the data or the model's outputs are not as the contract says.
      Diverged: a loss is not a finite number.
    """
    prepared = prepare(
        model, dataset, recipe, seed=seed, emit=emit, load_s=load_s, parts=parts, test=test
    )
    training = Training(prepared, recipe, emit, prepared.state, checkpoints)
    training.begin(dataset.spec.fingerprint)
    training.watched = watched or Nobody()
    training.watched.seconds += training.ledger.observer_s
    try:
        state = training.perform()
        if trained is not None:
            trained(prepared.trainer.mesh.local(state))
        _measure_more(training, state, dataset.spec, parts)
        return state
    finally:
        # also after a failure: what was measured until then is kept
        if training.ledger.blocks:
            emit(training.ledger.columns(recipe))
            for array in training.ledger.arrays():
                emit(array)


def _measure_more(
    training: Training, state: program.TrainState, spec: DataSpec, parts: Parts
) -> None:
    """What the metrics of plugins say of the state that counts."""
    if not parts.metrics:
        return
    training.emit(Phase("metrics"))
    start = time.perf_counter()
    found, errors = measured(training, state, spec, parts, training.emit)
    seconds = time.perf_counter() - start
    training.emit(Measured({"metrics": json.dumps(found), "metric_s": seconds}))
    if errors:
        raise errors[0]


def measured(
    training: Training, state: program.TrainState, spec: DataSpec, parts: Parts, emit: Emit
) -> tuple[dict[str, float | None], list[BaseException]]:
    """The values of metrics by name, and what they raised; `emit` hears notes of them."""
    prepared = training.prepared
    splits = {"test": prepared.final} if prepared.tested else {}
    if training.validated:
        splits["val"] = prepared.evaluate
    return measure(parts.metrics, splits, state, spec, note=lambda text: emit(Note(text)))


@dataclass
class Training:
    """A training that goes on.

    Attributes:
      best: the state of the epoch that counts, where a later one may not.
      told: what a checkpoint must agree with to be taken up.
    """

    prepared: Prepared
    recipe: Recipe
    emit: Emit
    state: program.TrainState
    checkpoints: Checkpoints | None
    ledger: Ledger = field(default_factory=Ledger)
    best: program.TrainState | None = None
    told: dict[str, str] = field(default_factory=dict)
    shown_at: float = 0.0
    watched: Watched = field(default_factory=Nobody)

    def begin(self, fingerprint: str) -> None:
        """Goes to where the last checkpoint was written, if there is one to take up."""
        # the same program on the same data goes on to the bit; another one starts anew
        self.told = {
            "hlo_hash": self.prepared.hlo_hash, "data_fingerprint": fingerprint,
            # a value of the state, not of the program
            "learning_rate": repr(self.recipe.learning_rate),
        }  # fmt: skip
        if self.checkpoints is None:
            return
        found = self.checkpoints.read({"state": self.state, "best": self.state})
        self.prepared.trainer.mesh.agree(repr(found.told) if found else "none")
        if found is None:
            return
        if any(found.told[name] != value for name, value in self.told.items()):
            self.emit(
                Note("the checkpoint is of another program or other data; training starts anew")
            )
            self.checkpoints.clear()
            return
        self.ledger = ledger_from_json(found.told["ledger"])
        self.ledger.resumed += 1
        self.state = found.trees["state"]
        self.best = found.trees.get("best")
        self.emit(Note(f"goes on from a checkpoint, {self.ledger.steps} steps in"))
        for epoch in self.ledger.history:
            self.tell(epoch)

    @property
    def prefix(self) -> str:
        """Of the columns of the split that is judged every epoch."""
        return "val" if self.validated else "test"

    @property
    def validated(self) -> bool:
        return not self.prepared.tested or self.prepared.evaluate is not self.prepared.final

    def perform(self) -> program.TrainState:
        ledger, order = self.ledger, self.prepared.trainer.order
        feeder = self.prepared.trainer.chunks(start=ledger.chunks)
        ledger.recompiles.skip()
        judged = None
        for epoch in range(len(ledger.history) + 1, self.recipe.epochs + 1):
            self.emit(Phase("train"))
            for _ in range(epoch * order.chunks_per_epoch - ledger.chunks):
                before = len(ledger.losses)
                with ledger.training():
                    self._take_chunk(feeder, epoch)
                self._tell_chunk(before)
                if self.checkpoints is not None and self.checkpoints.due():
                    self._write_checkpoint(self.checkpoints)
            ledger.recompiles.note()
            self.emit(Phase("evaluate"))
            result = self._judge(epoch)
            if judged is None:
                ledger.recompiles.skip()  # the first evaluation is warm-up too
            ledger.recompiles.note()
            judged = result
        return self._finish(judged)

    def _tell_chunk(self, first: int) -> None:
        """Tells the observers of a chunk; `first` is its first block."""
        blocks = self.ledger.blocks[first:]
        self.watched.chunk_end(
            step=self.ledger.steps,
            losses=np.concatenate(self.ledger.losses[first:]),
            seconds=sum(block.seconds for block in blocks),
        )
        self.ledger.observer_s = self.watched.seconds

    def _take_chunk(self, feeder: Iterator[feed.Chunk], epoch: int) -> None:
        """Takes the steps of one chunk."""
        ledger, trainer = self.ledger, self.prepared.trainer
        asked = time.perf_counter()
        chunk = next(feeder)
        ledger.wait_s += time.perf_counter() - asked
        for part in _first_step_apart(chunk, is_first=not ledger.blocks):
            first = ledger.steps + 1
            with _located(first, part.steps):
                self.state, losses, block = trainer(self.state, part)
            if not ledger.blocks:
                ledger.recompiles.skip()
            ledger.add(block, losses)
            self.check(losses, first)
        ledger.chunks += 1
        self._show_progress(epoch)

    def check(self, losses: np.ndarray, first: int) -> None:
        """Refuses losses float32 [steps] that are not finite; `first` is the first's step."""
        check_finite(losses, first)

    def _write_checkpoint(self, checkpoints: Checkpoints) -> None:
        start = time.perf_counter()
        self.ledger.recompiles.note()
        trees = {"state": self.state} | ({} if self.best is None else {"best": self.best})
        told = {**self.told, "ledger": self.ledger.to_json()}
        checkpoints.write(self.ledger.chunks, Checkpoint(trees, told))
        self.ledger.recompiles.skip()  # what writing compiles is no step
        self.ledger.checkpoint_s += time.perf_counter() - start

    def _judge(self, epoch: int) -> Any:
        """Evaluates an epoch, says so and decides whether it counts."""
        order, ledger = self.prepared.trainer.order, self.ledger
        judged, eval_s = self._timed_evaluation(self.prepared.evaluate, self.state)
        losses, train_s = ledger.since((epoch - 1) * order.steps_per_epoch)
        history = epoch_of(
            epoch, losses, judged, train_s=train_s, eval_s=eval_s, prefix=self.prefix
        )
        ledger.history.append(history)
        self.watched.evaluation_end(epoch=epoch, values=history)
        ledger.observer_s = self.watched.seconds
        if self.tell(history) and self.recipe.select == "best":
            # a copy, because the next epoch donates the state's buffers
            self.best = jax.tree.map(jnp.copy, self.state)
        return judged

    def tell(self, history: dict[str, Any]) -> bool:
        """Says what an epoch came to; whether it is the one that counts now."""
        only_better = self.recipe.select == "best"
        score = tell_epoch(history, self.ledger.best_score if only_better else None, self.emit)
        if score is None:
            return False
        self.ledger.best_score = score
        return True

    def _finish(self, judged: Any) -> program.TrainState:
        state = self.state if self.best is None else self.best
        if not self.prepared.tested:
            self.emit(Measured({"params_hash": program.params_hash(state.params)}))
            return state
        if judged is None or self.validated:
            judged, _ = self._timed_evaluation(self.prepared.final, state)
            self.emit(Measured({"test_loss": judged.loss, "test_accuracy": judged.accuracy}))
        tell_answers(judged, state, self.prepared.final, self.emit)
        return state

    def _timed_evaluation(
        self, evaluate: Evaluator, state: program.TrainState
    ) -> tuple[Evaluation, float]:
        start = time.perf_counter()
        judged = evaluate(state)  # host arrays: the device is done
        seconds = time.perf_counter() - start
        self.ledger.eval_s += seconds
        if not np.isfinite(judged.loss):
            raise Diverged(f"evaluation loss {judged.loss} after step {self.ledger.steps}")
        return judged, seconds

    def _show_progress(self, epoch: int) -> None:
        now = time.perf_counter()
        if now - self.shown_at < PROGRESS_EVERY:
            return
        self.shown_at = now
        order, block = self.prepared.trainer.order, self.ledger.blocks[-1]
        done = self.ledger.steps - (epoch - 1) * order.steps_per_epoch
        rate = order.examples_per_step * block.steps / block.seconds
        loss = float(
            np.nanmean(self.ledger.losses[-1][-1])
        )  # over the seeds, if there are some
        self.emit(Progress(epoch, order.epochs, done, order.steps_per_epoch, loss, rate))


@contextmanager
def _located(first: int, steps: int) -> Iterator[None]:
    """Adds to an exception in which training steps it was raised."""
    try:
        yield
    except Exception as error:
        error.add_note(f"(in training steps {first} to {first + steps - 1})")
        raise


def _first_step_apart(chunk: feed.Chunk, *, is_first: bool) -> list[feed.Chunk]:
    """Cuts the very first step off, so that its time is known by itself."""
    if not is_first or chunk.steps == 1:
        return [chunk]
    rest = jax.tree.map(lambda a: np.concatenate([a[1:], a[-1:]]), chunk.payload)  # [K, b]
    return [feed.Chunk(chunk.payload, 1), feed.Chunk(rest, chunk.steps - 1)]


def check_finite(losses: np.ndarray, first: int) -> None:
    """Refuses losses float32 [steps] that are not finite.

    Raises:
      Diverged: says which; `first` is the number of the first step.
    """
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise Diverged(f"training loss {losses[bad[0]]} at step {first + int(bad[0])}")
