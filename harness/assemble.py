"""Sets a run up: splits cut, data placed, both programs compiled.

What comes out is callable: a `Trainer` that takes chunks of steps and reads the clock
around each, and an `Evaluator` for the split that is judged every epoch.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness import cost, feed, orders, program, timing
from harness.buckets import buckets_of
from harness.events import Event, Measured, Phase
from harness.mesh import ONE, Mesh, mesh_of
from harness.metrics import EvalSums, Evaluation, summarize
from harness.optimizers import Factory, make_optimizer
from harness.recipe import Recipe
from harness.specs import Dataset, DataSpec, Predictions, Prepares, Task
from harness.tasks import CLASSIFICATION

Emit = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What plugins bring to a run beside its model and its data.

    Attributes:
      task: what the data set's labels are and how outputs are judged.
      optimizer: made by a plugin; None for optax's own of the recipe's name.
      metrics: by name, what is measured beside loss and accuracy.
    """

    task: Task = CLASSIFICATION
    optimizer: Factory | None = None
    metrics: Mapping[str, Callable[[Predictions], float]] = field(default_factory=dict)


PLAIN = Parts()


@dataclass(frozen=True)
class Splits:
    """The examples of a run; `validation` is None where the test set is evaluated."""

    train: feed.Examples
    test: feed.Examples
    validation: feed.Examples | None


def make_splits(dataset: Dataset, recipe: Recipe, *, task: Task = CLASSIFICATION) -> Splits:
    """Checks the data set's splits, cuts them as the recipe says, decides where they live."""
    train, test = (
        feed.as_examples(split, dataset.spec, name=name, limit=recipe.limit, task=task)
        for name, split in (("train", dataset.train), ("test", dataset.test))
    )
    train, test = feed.place_within(feed.room(jax.local_devices()[0]), train, test)
    if recipe.validation == 0:
        return Splits(train, test, None)
    train, validation = feed.hold_out(train, recipe.validation)
    return Splits(train, test, validation)


def build_model(
    factory: Callable[..., nnx.Module], spec: DataSpec, params: dict[str, Any], *, seed: int
) -> nnx.Module:
    """Constructs a model; the same seed gives the same initial parameters."""
    return factory(spec, **params, rngs=nnx.Rngs(jax.random.key(seed)))


@dataclass(frozen=True)
class Evaluator:
    """Evaluates one split with a program compiled for its shape.

    Attributes:
      seeds: whether the program is of a state of several seeds: then `sums` is to be called.
    """

    compiled: program.Compiled
    examples: feed.Examples
    order: orders.EvalOrder
    data: Any
    split: program.SplitModel
    mesh: Mesh
    seeds: bool = False

    def chunks(self) -> Iterator[feed.Chunk]:
        """All chunks of the split, as far as this process feeds them."""
        share = self.mesh.share(self.order.batch_size)
        return feed.chunks(self.examples, self.order, share=share)

    def __call__(self, state: program.TrainState) -> Evaluation:
        return self.divided(self.sums(state))

    def sums(self, state: program.TrainState) -> list[EvalSums]:
        """What each chunk adds up: host arrays with a leading axis of steps.

        Of a state of several seeds they have an axis of these before it.
        """
        sums: list[EvalSums] = []
        axes = (slice(None),) * self.seeds
        left = len(self.examples)
        for chunk in self.chunks():
            count = min(left, chunk.steps * self.order.batch_size)
            left -= count
            out = self.compiled.call(
                state.params, state.rest, self.data, self.mesh.payload(chunk.payload),
                np.int32(chunk.steps), np.int32(count),
            )  # fmt: skip
            # host arrays without the steps that the chunk did not take
            sums.append(
                jax.tree.map(lambda a, n=chunk.steps: np.asarray(a)[axes + (slice(n),)], out)
            )
        return sums

    def divided(self, sums: list[EvalSums]) -> Evaluation:
        """The evaluation that the sums of one state come to."""
        found = summarize(sums, size=len(self.examples), task=self.split.task)
        answers = {name: self.order.restored(told) for name, told in found.answers.items()}
        return found._replace(answers=answers)


@dataclass(frozen=True)
class Trainer:
    """Takes training steps with a compiled program."""

    compiled: program.Compiled
    examples: feed.Examples
    order: orders.TrainingOrder
    data: Any
    mesh: Mesh

    def chunks(self, *, start: int = 0) -> Iterator[feed.Chunk]:
        """All chunks of the training from number `start` on."""
        share = self.mesh.share(self.order.batch_size)
        return feed.chunks(self.examples, self.order, start=start, share=share)

    def __call__(
        self, state: program.TrainState, chunk: feed.Chunk
    ) -> tuple[program.TrainState, np.ndarray, timing.Block]:
        """The next state, the losses float32 [steps] and the time they took."""
        start = time.perf_counter()
        state, losses = self.compiled.call(
            state, self.data, self.mesh.payload(chunk.payload), np.int32(chunk.steps)
        )
        jax.block_until_ready((state, losses))
        block = timing.Block(chunk.steps, time.perf_counter() - start)
        # a copy: a view would keep the device's array for as long as the run remembers losses
        return state, np.array(losses)[: chunk.steps], block


@dataclass(frozen=True)
class Prepared:
    """Everything compiled and placed: what remains is to run it.

    Attributes:
      evaluate: for the split that is judged every epoch.
      final: for the split that is judged at last.
      tested: whether that is the test set; else it is validation, and the test set is not read.
    """

    trainer: Trainer
    evaluate: Evaluator
    final: Evaluator
    state: program.TrainState
    hlo_hash: str
    tested: bool = True


Placed = dict[int, Any]


def place_all(splits: Splits, mesh: Mesh, *, test: bool) -> Placed:
    """Each split's arrays on every device, by the identity of the host's arrays.

    Training and validation examples are rows of the same arrays, which are placed once.
    """
    placed: Placed = {}
    for examples in (splits.train, splits.test if test else None, splits.validation):
        if examples is not None and examples.resident and id(examples.arrays) not in placed:
            assert examples.arrays is not None
            arrays = {name: np.asarray(examples.arrays[name]) for name in ("x", "y")}
            placed[id(examples.arrays)] = mesh.placed(arrays)
    return jax.block_until_ready(placed)


def prepare(
    model: nnx.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    emit: Emit,
    load_s: float = 0.0,
    parts: Parts = PLAIN,
    test: bool = True,
) -> Prepared:
    """Places the data, lets the model see the training split, compiles both programs.

    Args:
      load_s: what loading took before, for `data_s`.
      test: whether the test set is evaluated; without it there has to be validation.
    """
    assert test or recipe.validation > 0, "nothing to evaluate"
    mesh = mesh_of(recipe.devices, processes=recipe.processes)
    start = time.perf_counter()
    splits = make_splits(dataset, recipe, task=parts.task)
    placed = place_all(splits, mesh, test=test)
    emit(Measured({"data_s": load_s + time.perf_counter() - start}))
    if isinstance(model, Prepares):
        emit(Phase("prepare"))
        model.prepare(splits.train.split())
    order = orders.training_order(
        len(splits.train), batch_size=recipe.batch_size, epochs=recipe.epochs, seed=seed,
        bucket=buckets_of(splits.train, dataset.spec),
    )  # fmt: skip
    emit(Phase("compile"))
    steps = order.steps_per_epoch * recipe.epochs
    optimizer = make_optimizer(recipe, steps=steps, factory=parts.optimizer)
    split, params, rest = program.split_model(
        model, dtype=jnp.dtype(recipe.precision), task=parts.task, spec=dataset.spec
    )
    state = program.TrainState(params, rest, optimizer.init(params))
    # own buffers, each once: the first step donates them, and a plugin may share its own
    state = mesh.replicated(jax.tree.map(jnp.copy, state))
    emit(Measured({"param_count": program.count_parameters(params)}))
    x = jax.ShapeDtypeStruct((recipe.batch_size, *dataset.spec.shape), x_dtype(dataset.spec))
    outputs = program.check_outputs(split, state, x, dataset.spec)
    program.check_task(parts.task, outputs, dataset.spec)

    def step(state: program.TrainState, batch: program.Batch) -> Any:
        return program.train_step(
            split, optimizer, state, batch, accumulate=recipe.accumulate, mesh=mesh
        )

    update = functools.partial(program.update, optimizer)
    work = Work(split, state, step, update, order, mesh)
    return compile_all(work, splits, placed, recipe, dataset.spec, emit=emit, test=test)


Mapped = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Work:
    """What is to be compiled.

    Attributes:
      step, update: a whole step, and how a gradient moves a state.
      seeds: the shape of a step's loss: how many seeds it trains, or nothing for one.
      over: makes an evaluation of one state into one of what `state` holds.
    """

    split: program.SplitModel
    state: program.TrainState
    step: program.Step
    update: Callable[..., Any]
    order: orders.TrainingOrder
    mesh: Mesh = ONE
    seeds: tuple[int, ...] = ()
    over: Mapped = lambda chunk: chunk


def compile_all(
    work: Work,
    splits: Splits,
    placed: Placed,
    recipe: Recipe,
    spec: DataSpec,
    *,
    emit: Emit,
    test: bool = True,
) -> Prepared:
    """Compiles the programs of training and evaluation, and says what they cost."""
    counter = timing.compile_counter()
    hits, misses = counter.hits, counter.misses
    trainer = _compile_trainer(work, splits.train, placed)
    # the split that is judged at last, then the one of every epoch; they may be the same one
    judged = [
        _compile_evaluator(work, examples, recipe, placed, spec)
        for examples in (splits.test if test else None, splits.validation)
        if examples is not None
    ]
    final, evaluate = judged[0], judged[-1]
    programs = [trainer, *judged]
    step_cost = _step_cost(trainer, work, recipe)
    emit(
        Measured(
            {
                "compile_s": sum(p.compiled.seconds for p in programs),
                "compile_cache": _cache_state(counter.hits - hits, counter.misses - misses),
                **step_cost,
            }
        )
    )
    return Prepared(trainer, evaluate, final, work.state, step_cost["hlo_hash"], tested=test)


def _step_cost(trainer: Trainer, work: Work, recipe: Recipe) -> dict[str, Any]:
    devices = work.mesh.count
    chunk = cost.program_cost(trainer.compiled, devices=devices)
    if recipe.accumulate == 1:
        return chunk
    alone = program.compile_ahead(
        work.update, work.state, work.state.params, donate=(0,), mesh=work.mesh
    )
    of_update = cost.program_cost(alone, devices=devices)
    return cost.in_parts(chunk, of_update, parts=recipe.accumulate)


def x_dtype(spec: DataSpec) -> Any:
    return jnp.int32 if spec.kind == "tokens" else jnp.float32


def _cache_state(hits: int, misses: int) -> str:
    if not hits and not misses:
        return "off"
    return "miss" if misses else "hit"


def _compile_trainer(work: Work, examples: feed.Examples, placed: Placed) -> Trainer:
    data = placed[id(examples.arrays)] if examples.resident else None
    share = work.mesh.share(work.order.batch_size)
    chunks = feed.chunks(examples, work.order, share=share)
    payload = work.mesh.payload(next(chunks).payload)
    chunk = program.train_chunk(work.step, work.order.chunk, seeds=work.seeds)
    compiled = program.compile_ahead(
        chunk, work.state, data, payload, np.int32(1), donate=(0,), mesh=work.mesh
    )
    return Trainer(compiled, examples, work.order, data, work.mesh)


def _compile_evaluator(
    work: Work, examples: feed.Examples, recipe: Recipe, placed: Placed, spec: DataSpec
) -> Evaluator:
    bucket = buckets_of(examples, spec)
    order = orders.eval_order(
        len(examples), batch_size=recipe.eval_batch_size, bucket=bucket, devices=work.mesh.count
    )
    data = placed[id(examples.arrays)] if examples.resident else None
    mesh = work.mesh
    share = mesh.share(order.batch_size)
    payload = mesh.payload(next(feed.chunks(examples, order, share=share)).payload)
    chunk = work.over(program.eval_chunk(work.split, order.chunk, order.batch_size, mesh=mesh))
    one = np.int32(1)
    compiled = program.compile_ahead(
        chunk, work.state.params, work.state.rest, data, payload, one, one, donate=(),
        mesh=mesh,
    )  # fmt: skip
    return Evaluator(compiled, examples, order, data, work.split, mesh, bool(work.seeds))
