"""Several seeds of one cell in one program.

Each seed has a model, an order of examples, losses and a result of its own; their states are
stacked, `[s, ...]`, and the step is mapped over them by `jax.vmap`. What is timed is the
program of all of them. A seed whose loss is not finite is over, and the others go on.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness import orders, program
from harness.assemble import (
    PLAIN,
    Emit,
    Evaluator,
    Parts,
    Prepared,
    Work,
    compile_all,
    make_splits,
    place_all,
    x_dtype,
)
from harness.buckets import buckets_of
from harness.checkpoints import Checkpoints
from harness.engine import (
    Nobody,
    Training,
    Watched,
    check_finite,
    measured,
)
from harness.epochs import epoch_of, tell_answers, tell_epoch
from harness.errors import ContractError, Diverged
from harness.events import Measured, Phase
from harness.ledger import Ledger
from harness.mesh import ONE
from harness.metrics import Evaluation
from harness.optimizers import make_optimizer
from harness.recipe import Recipe
from harness.specs import Dataset, Prepares


def _nothing(given: Any) -> None:
    pass


@dataclass(kw_only=True)
class Seed:
    """One of the seeds that are trained together, and who hears of it.

    Attributes:
      emit: of what is of this seed alone.
      trained: is given its state of the epoch that counts.
      failed: is told what ended it while the others went on.
      blocks: of the training that it took part in, once it is over; None before.
      score: of its epoch that counts so far, where the best one does.
    """

    seed: int
    model: nnx.Module
    emit: Emit
    watched: Watched = field(default_factory=Nobody)
    trained: Callable[[program.TrainState], None] = _nothing
    failed: Callable[[BaseException], None] = _nothing
    blocks: int | None = None
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class SeedOrders(orders.TrainingOrder):
    """The orders of several seeds as one: chunks of positions int32 [k, s, b]."""

    each: tuple[orders.TrainingOrder, ...]

    @property
    def examples_per_step(self) -> int:
        return self.batch_size * len(self.each)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.stack([order[index] for order in self.each], axis=1)  # [k, s, b]


def observer_s(seeds: Sequence[Seed]) -> float:
    """Seconds that the observers of all seeds have taken so far."""
    return sum(one.watched.seconds for one in seeds)


@dataclass
class _All:
    """Whoever observes one of the seeds, told of that one."""

    seeds: Sequence[Seed]
    seconds: float = 0.0

    def chunk_end(self, *, step: int, losses: np.ndarray, seconds: float) -> None:
        for place, one in enumerate(self.seeds):
            if one.blocks is None:
                one.watched.chunk_end(step=step, losses=losses[:, place], seconds=seconds)
        self.seconds = observer_s(self.seeds)

    def evaluation_end(self, *, epoch: int, values: Mapping[str, Any]) -> None:
        pass  # each is told of its own


def fit_seeds(
    seeds: Sequence[Seed],
    dataset: Dataset,
    recipe: Recipe,
    *,
    emit: Emit,
    load_s: float = 0.0,
    checkpoints: Checkpoints | None = None,
    parts: Parts = PLAIN,
) -> None:
    """Trains and evaluates one model a seed, in one program.

    Args:
      emit: of what is of all seeds: phases, the columns of the program.
      load_s, checkpoints, parts: as `engine.fit` has them.

    Raises:
      ContractError: as `engine.fit`, or the models differ in more than their variables.
      Diverged: no seed is left.
    """
    prepared = prepare_seeds(seeds, dataset, recipe, emit=emit, load_s=load_s, parts=parts)
    training = Together(prepared, recipe, emit, prepared.state, checkpoints)
    training.seeds = seeds
    training.begin(dataset.spec.fingerprint)
    training.watched = _All(seeds)
    seeds[0].watched.seconds += training.ledger.observer_s
    try:
        state = training.perform()
        for place, one in training.left:
            one.trained(_of_one(state, place))
        _measure_more(training, state, dataset, parts)
    finally:
        _tell_times(training)


def prepare_seeds(
    seeds: Sequence[Seed],
    dataset: Dataset,
    recipe: Recipe,
    *,
    emit: Emit,
    load_s: float = 0.0,
    parts: Parts = PLAIN,
) -> Prepared:
    """Places the data, stacks what each seed begins with, compiles the programs of all."""
    start = time.perf_counter()
    splits = make_splits(dataset, recipe, task=parts.task)
    placed = place_all(splits, ONE, test=True)
    emit(Measured({"data_s": load_s + time.perf_counter() - start}))
    if any(isinstance(one.model, Prepares) for one in seeds):
        emit(Phase("prepare"))
        for one in seeds:
            if isinstance(one.model, Prepares):
                one.model.prepare(splits.train.split())
    order = _orders(seeds, recipe, len(splits.train), buckets_of(splits.train, dataset.spec))
    emit(Phase("compile"))
    optimizer = make_optimizer(
        recipe, steps=order.steps_per_epoch * recipe.epochs, factory=parts.optimizer
    )
    split, states = _split(seeds, dataset, recipe, parts, optimizer)
    emit(Measured({"param_count": program.count_parameters(states[0].params)}))
    x = jax.ShapeDtypeStruct((recipe.batch_size, *dataset.spec.shape), x_dtype(dataset.spec))
    outputs = program.check_outputs(split, states[0], x, dataset.spec)
    program.check_task(parts.task, outputs, dataset.spec)

    def step(state: program.TrainState, batch: program.Batch) -> Any:
        return program.train_step(split, optimizer, state, batch, accumulate=recipe.accumulate)

    work = Work(
        split, _stacked(states), jax.vmap(step),
        jax.vmap(functools.partial(program.update, optimizer)), order, ONE, (len(seeds),),
        # parameters and other variables; the examples are the same for all
        lambda chunk: jax.vmap(chunk, in_axes=(0, 0, None, None, None, None)),
    )  # fmt: skip
    return compile_all(work, splits, placed, recipe, dataset.spec, emit=emit)


def _orders(
    seeds: Sequence[Seed], recipe: Recipe, size: int, bucket: np.ndarray | None
) -> SeedOrders:
    each = tuple(
        orders.training_order(
            size, batch_size=recipe.batch_size, epochs=recipe.epochs, seed=one.seed,
            bucket=bucket,
        )
        for one in seeds
    )  # fmt: skip
    first = each[0]
    return SeedOrders(
        size=first.size, batch_size=first.batch_size, chunk=first.chunk, epochs=first.epochs,
        seed=first.seed, each=each,
    )  # fmt: skip


def _split(
    seeds: Sequence[Seed], dataset: Dataset, recipe: Recipe, parts: Parts, optimizer: Any
) -> tuple[program.SplitModel, list[program.TrainState]]:
    """The graphs that all models have, and the state that each begins with.

    Raises:
      ContractError: the models are not of one graph, or their variables of other shapes.
    """
    found = [
        program.split_model(
            one.model, dtype=jnp.dtype(recipe.precision), task=parts.task, spec=dataset.spec
        )
        for one in seeds
    ]
    forms = [(split, _form(params), _form(rest)) for split, params, rest in found]
    for one, form in zip(seeds, forms, strict=True):
        if form != forms[0]:
            raise ContractError(
                f"the models of seeds {seeds[0].seed} and {one.seed} differ in more than the "
                "values of their variables; run them without --vmap-seeds"
            )
    states = [
        program.TrainState(params, rest, optimizer.init(params)) for _, params, rest in found
    ]
    return found[0][0], states


def _form(tree: Any) -> tuple[Any, list[Any]]:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def _stacked(states: Sequence[program.TrainState]) -> program.TrainState:
    """The states as one, each array of it [s, ...], in buffers of its own."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def _of_one(state: program.TrainState, place: int) -> program.TrainState:
    return jax.tree.map(lambda a: a[place], state)  # [s, ...] -> [...]


@dataclass
class Together(Training):
    """A training of several seeds.

    Its ledger's losses are float32 [steps, s], and an epoch of its history is a dict with
    the `epoch` and one history a `seeds`: what each came to, or why it is over.
    """

    seeds: Sequence[Seed] = ()

    @property
    def left(self) -> list[tuple[int, Seed]]:
        """The seeds that go on, each with its place in the stack."""
        return [(n, one) for n, one in enumerate(self.seeds) if one.blocks is None]

    def begin(self, fingerprint: str) -> None:
        super().begin(fingerprint)
        if self.ledger.losses:  # taken up: those that were over are so again
            self.check(np.concatenate(self.ledger.losses), 1)
        for place, one in self.left if self.ledger.history else ():
            if self.ledger.history[-1]["seeds"][place] is None:
                self._end(one, Diverged("an evaluation loss was not finite"))

    def check(self, losses: np.ndarray, first: int) -> None:
        for place, one in self.left:
            try:
                check_finite(losses[:, place], first)
            except Diverged as error:
                self._end(one, error)

    def _end(self, one: Seed, error: Diverged) -> None:
        """A seed is over; the last one ends the training."""
        one.blocks = len(self.ledger.blocks)
        one.failed(error)
        if not self.left:
            raise error

    def _judge(self, epoch: int) -> list[Evaluation]:
        order, ledger = self.prepared.trainer.order, self.ledger
        start = time.perf_counter()
        judged = self._evaluations(self.prepared.evaluate, self.state)
        eval_s = time.perf_counter() - start
        losses, train_s = ledger.since((epoch - 1) * order.steps_per_epoch)  # [n, s]
        found: list[dict[str, Any] | None] = [None] * len(self.seeds)
        for place, one in self.left:
            found[place] = values = epoch_of(
                epoch, losses[:, place], judged[place], train_s=train_s, eval_s=eval_s,
                prefix=self.prefix,
            )  # fmt: skip
            one.watched.evaluation_end(epoch=epoch, values=values)
        history = {"epoch": epoch, "seeds": found}
        ledger.history.append(history)
        ledger.observer_s = observer_s(self.seeds)
        told = self._told(history)
        if self.recipe.select == "best":
            self.best = _chosen(told, self.state, self.best or self.state)
        return judged

    def tell(self, history: dict[str, Any]) -> bool:
        return bool(self._told(history).any())

    def _told(self, history: dict[str, Any]) -> np.ndarray:
        """Says of each seed what an epoch came to; bool [s], whether it counts now."""
        only_better = self.recipe.select == "best"
        told = np.zeros(len(self.seeds), bool)
        for place, one in enumerate(self.seeds):
            values = history["seeds"][place]
            if values is not None:
                score = tell_epoch(values, one.score if only_better else None, one.emit)
                told[place] = score is not None
                one.score = one.score if score is None else score
        return told

    def _finish(self, judged: Any) -> program.TrainState:
        state = self.state if self.best is None else self.best
        if judged is None or self.validated:
            judged = self._evaluations(self.prepared.final, state)
            for place, one in self.left:
                found = judged[place]
                one.emit(Measured({"test_loss": found.loss, "test_accuracy": found.accuracy}))
        for place, one in self.left:
            tell_answers(judged[place], _of_one(state, place), self.prepared.final, one.emit)
        return state

    def _evaluations(self, evaluate: Evaluator, state: program.TrainState) -> list[Evaluation]:
        """What each seed's state comes to; of one that is over it says nothing."""
        start = time.perf_counter()
        sums = evaluate.sums(state)  # [s, k, ...]
        judged = [
            evaluate.divided([jax.tree.map(lambda a, n=n: a[n], one) for one in sums])
            for n in range(len(self.seeds))
        ]
        self.ledger.eval_s += time.perf_counter() - start
        for place, one in self.left:
            loss = judged[place].loss
            if not np.isfinite(loss):
                told = f"evaluation loss {loss} after step {self.ledger.steps}"
                self._end(one, Diverged(told))
        return judged


def _chosen(better: np.ndarray, new: Any, old: Any) -> Any:
    """Of each seed the new state where it is better, bool [s], in buffers of its own."""

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)  # [s, 1, ...]

    return jax.tree.map(choose, new, old)


def _measure_more(
    training: Together, state: program.TrainState, dataset: Dataset, parts: Parts
) -> None:
    """What the metrics of plugins say of each seed; one that raises costs its seed alone."""
    if not parts.metrics:
        return
    training.emit(Phase("metrics"))
    start = time.perf_counter()
    for place, one in training.left:
        own = _of_one(state, place)
        found, errors = measured(training, own, dataset.spec, parts, one.emit)
        one.emit(Measured({"metrics": json.dumps(found)}))
        if errors:
            one.failed(errors[0])
    training.emit(Measured({"metric_s": time.perf_counter() - start}))


def _tell_times(training: Together) -> None:
    """What was measured until now: the clocks of all, the losses of each seed."""
    ledger, recipe = training.ledger, training.recipe
    if not ledger.blocks:
        return
    together = replace(recipe, batch_size=recipe.batch_size * len(training.seeds))
    training.emit(ledger.columns(together))
    for place, one in enumerate(training.seeds):
        blocks = ledger.blocks[: one.blocks]
        losses = [part[:, place] for part in ledger.losses[: one.blocks]]
        for array in Ledger(blocks=list(blocks), losses=losses).arrays():
            one.emit(array)
