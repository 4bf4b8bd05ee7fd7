"""The two compiled programs of a run: a chunk of training steps, a chunk of evaluation.

The module's graph is split once, outside every loop; inside, one pure step turns a state
and a batch into the next state and a loss. A chunk loops over up to K steps on the
device with the state donated. The number of steps is an argument, so a short last chunk
is no new program. Data comes in as arguments too: a closed-over array would be baked
into the program as a constant.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

from harness import metrics
from harness.buckets import at_length
from harness.convolutions import channels_last
from harness.errors import ContractError
from harness.mesh import ONE, Mesh
from harness.specs import DataSpec, Task
from harness.tasks import CLASSIFICATION

Batch = tuple[jax.Array, jax.Array]  # x [b, *shape], y [b, ...] as the task has it


class TrainState(NamedTuple):
    """All that training changes.

    Attributes:
      params: the model's `nnx.Param`s.
      rest: its other variables: statistics, counters of random streams.
      opt_state: the optimizer's state.
    """

    params: Any
    rest: Any
    opt_state: Any


@dataclass(frozen=True)
class SplitModel:
    """A model as two static graphs, for training and for evaluation.

    Attributes:
      dtype: what the model computes in. Parameters, and examples that are not tokens, are
        cast on the way in; its other variables keep the types they have.
      task: says what the outputs stand for.
      spec: of the data, where batches are cut to its buckets; None cuts nothing.
    """

    train_graph: nnx.GraphDef[Any]
    eval_graph: nnx.GraphDef[Any]
    dtype: Any = jnp.float32
    task: Task = CLASSIFICATION
    spec: DataSpec | None = None

    def at_length(self, function: Callable[[jax.Array], Any], x: jax.Array) -> Any:
        """Calls a function with a batch [b, *shape], cut to its bucket where there are some."""
        return function(x) if self.spec is None else at_length(function, x, self.spec)

    def _merged(self, graph: nnx.GraphDef[Any], params: Any, rest: Any) -> Any:
        # copy: a merged model must not write into the arrays it was given while tracing
        return nnx.merge(graph, cast_floats(params, self.dtype), rest, copy=True)

    def train_outputs(self, params: Any, rest: Any, x: jax.Array) -> tuple[jax.Array, Any]:
        """Outputs [b, c] in training mode, and the other variables after the call."""
        model = self._merged(self.train_graph, params, rest)
        outputs = model(cast_floats(x, self.dtype))
        # what a call notes down for its caller (`sow`) is not carried to the next step
        after = nnx.split(model, nnx.Param, nnx.Intermediate, ...)[3]
        # a statistic computed in half precision goes back into the type it is kept in
        return outputs, jax.tree.map(_in_type_of, after, rest)

    def eval_outputs(self, params: Any, rest: Any, x: jax.Array) -> jax.Array:
        """Outputs [b, c] in evaluation mode."""
        model = self._merged(self.eval_graph, params, rest)
        return model(cast_floats(x, self.dtype))

    def judge(self, params: Any, rest: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Outputs [b, c] in evaluation mode, and the probabilities [b, c] they stand for."""

        def judged(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            model = self._merged(self.eval_graph, params, rest)
            outputs = model(cast_floats(x, self.dtype))
            return outputs, self.task.probabilities(model, outputs)

        return self.at_length(judged, x)


def cast_floats(tree: Any, dtype: Any) -> Any:
    """The tree with its float32 arrays in another type; nothing else is touched."""
    return jax.tree.map(lambda a: a.astype(dtype) if a.dtype == jnp.float32 else a, tree)


def _in_type_of(value: jax.Array, like: jax.Array) -> jax.Array:
    return value if value.dtype == like.dtype else value.astype(like.dtype)


def split_model(
    model: nnx.Module,
    *,
    dtype: Any = jnp.float32,
    task: Task = CLASSIFICATION,
    spec: DataSpec | None = None,
) -> tuple[SplitModel, Any, Any]:
    """Splits a model into its graphs, its parameters and its other variables.

    Args:
      dtype: what the model is to compute in.
      spec: of the data, whose buckets batches are cut to; None cuts nothing.
    """
    if dtype != jnp.float32:
        # flax's layers cast what they are given to their own `dtype`, whatever the types
        # of their parameters
        model.set_attributes(dtype=dtype, raise_if_not_found=False)
    model.eval()
    eval_graph = nnx.split(model, nnx.Param, ...)[0]
    model.train()
    train_graph, params, rest = nnx.split(model, nnx.Param, ...)
    return SplitModel(train_graph, eval_graph, dtype, task, spec), params, rest


def count_parameters(params: Any) -> int:
    """The number of trainable values."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))


def params_hash(params: Any) -> str:
    """SHA-256, shortened, of all trainable values: equal for equal bits."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        value = np.asarray(leaf)
        digest.update(f"{value.dtype} {value.shape} ".encode() + value.tobytes())
    return digest.hexdigest()[:16]


def check_outputs(
    split: SplitModel, state: TrainState, x: Any, spec: DataSpec
) -> jax.ShapeDtypeStruct:
    """Traces one call and compares its outputs with the contract.

    Returns:
      What the outputs are.

    Raises:
      ContractError: names the shape and dtype that came and the ones expected.
    """
    shorter = [jax.ShapeDtypeStruct((x.shape[0], size), x.dtype) for size in spec.buckets]
    *_, outputs = (_checked_outputs(split, state, one, spec) for one in (*shorter, x))
    return outputs


def _checked_outputs(
    split: SplitModel, state: TrainState, x: Any, spec: DataSpec
) -> jax.ShapeDtypeStruct:
    outputs = jax.eval_shape(split.eval_outputs, state.params, state.rest, x)
    wanted = (x.shape[0], spec.num_classes)
    if not isinstance(outputs, jax.ShapeDtypeStruct):
        raise ContractError(
            f"the model returned {type(outputs).__name__}; expected one array {list(wanted)}"
        )
    if outputs.shape != wanted or not jnp.issubdtype(outputs.dtype, jnp.floating):
        raise ContractError(
            f"the model returned {outputs.dtype} {list(outputs.shape)} for x {list(x.shape)}; "
            f"expected floating point [batch, num_classes] = {list(wanted)}"
        )
    return outputs


def check_task(task: Task, outputs: jax.ShapeDtypeStruct, spec: DataSpec) -> None:
    """Traces what a task makes of outputs [b, c], and compares it with its contract.

    Raises:
      ContractError: names what came and what was expected.
    """
    batch = outputs.shape[0]
    y = jax.ShapeDtypeStruct((batch, *task.label_shape(spec)), task.label_dtype)

    def judged(outputs: jax.Array, y: jax.Array) -> tuple[Any, Any]:
        # probabilities have the shape of outputs
        return task.losses(outputs.astype(jnp.float32), y), task.answers(outputs, outputs)

    losses, answers = jax.eval_shape(judged, outputs, y)
    _check_task_array("losses", losses, batch, jnp.floating)
    if not isinstance(answers, dict) or "predicted" not in answers:
        raise ContractError('task: answers returned no "predicted"; expected a dict with it')
    for name, answer in answers.items():
        if answer.shape[:1] != (batch,):
            raise ContractError(
                f"task: answers returned {name!r} {list(answer.shape)}; expected [{batch}, ...]"
            )
    if task.correct is not None:
        right = jax.eval_shape(task.correct, answers, y)
        _check_task_array("correct", right, batch, jnp.bool_)


WORDS = {jnp.floating: "floating point", jnp.bool_: "bool"}


def _check_task_array(name: str, found: Any, batch: int, kind: Any) -> None:
    fits = isinstance(found, jax.ShapeDtypeStruct) and found.shape == (batch,)
    if not fits or not jnp.issubdtype(found.dtype, kind):
        is_array = isinstance(found, jax.ShapeDtypeStruct)
        told = f"{found.dtype} {list(found.shape)}" if is_array else type(found).__name__
        raise ContractError(
            f"task: {name} returned {told} for a batch of {batch}; expected {WORDS[kind]} "
            f"[{batch}], one of each example"
        )


def train_step(
    split: SplitModel,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: Batch,
    *,
    accumulate: int = 1,
    mesh: Mesh = ONE,
) -> tuple[TrainState, jax.Array]:
    """One pure step: loss, gradient, update. Returns the next state and the loss [].

    Args:
      accumulate: parts in which the batch goes through the model, one after the other;
        it divides the batch. Their mean gradient makes the update.
      mesh: the devices over which the batch, and each part of it, is split.
    """
    loss, rest, grads = _gradient(split, state, mesh.split(batch), accumulate, mesh)
    return update(optimizer, state._replace(rest=rest), grads), loss


def update(
    optimizer: optax.GradientTransformation, state: TrainState, grads: Any
) -> TrainState:
    """The state with its parameters and its optimizer's state moved by a gradient."""
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return TrainState(params, state.rest, opt_state)


def _gradient(
    split: SplitModel, state: TrainState, batch: Batch, accumulate: int, mesh: Mesh
) -> tuple[jax.Array, Any, Any]:
    """The mean loss [], the other variables afterwards, and the mean gradient."""

    def gradient(rest: Any, batch: Batch) -> tuple[jax.Array, Any, Any]:
        x, y = batch

        # backwards too within one branch: between branches all that any of them keeps would be
        def whole(x: jax.Array) -> tuple[jax.Array, Any, Any]:
            def loss_fn(params: Any) -> tuple[jax.Array, Any]:
                outputs, after = split.train_outputs(params, rest, x)
                return metrics.mean_loss(outputs, y, task=split.task), after

            (loss, after), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
            return loss, after, grads

        return split.at_length(whole, x)

    if accumulate == 1:
        return gradient(state.rest, batch)

    def add(carry: tuple[jax.Array, Any, Any], part: Batch) -> tuple[Any, None]:
        total, rest, sums = carry
        loss, rest, grads = gradient(rest, part)
        return (total + loss, rest, jax.tree.map(jnp.add, sums, grads)), None

    parts = jax.tree.map(
        lambda a: a.reshape(accumulate, -1, *a.shape[1:]), batch
    )  # [b, ...] -> [parts, b / parts, ...]
    zeros = jnp.float32(0), state.rest, jax.tree.map(jnp.zeros_like, state.params)
    (total, rest, sums), _ = lax.scan(add, zeros, mesh.parts(parts))
    return total / accumulate, rest, jax.tree.map(lambda g: g / accumulate, sums)


def take(data: Any, payload: Any, step: jax.Array | int) -> Batch:
    """The batch of one step of a chunk.

    Args:
      data: {"x": [n, *shape], "y": int32 [n]} on the device, or None where the payload
        holds the examples themselves.
      payload: positions int32 [K, b], or {"x": [K, b, *shape], "y": int32 [K, b]}.
    """
    if data is None:
        return payload["x"][step], payload["y"][step]
    rows = payload[step]  # [b]
    return data["x"][rows], data["y"][rows]


Step = Callable[[TrainState, Batch], tuple[TrainState, jax.Array]]


def train_chunk(step: Step, length: int, *, seeds: tuple[int, ...] = ()) -> Callable[..., Any]:
    """A function of (state, data, payload, steps) that takes that many steps, <= length.

    It returns the state and the losses float32 [length, *seeds], zero where no step was taken.

    Args:
      seeds: the shape of a step's loss: how many seeds a step trains, or nothing for one.
    """

    def chunk(state: TrainState, data: Any, payload: Any, steps: jax.Array) -> Any:
        def one(i: jax.Array, carry: tuple[TrainState, jax.Array]) -> Any:
            state, losses = carry
            state, loss = step(state, take(data, payload, i))
            return state, losses.at[i].set(loss)

        def body(i: jax.Array, carry: tuple[TrainState, jax.Array]) -> Any:
            # always true. Before a batch was cut into groups XLA's CPU compiler ordered the
            # step's operations better in a computation of its own: docs/performance.md
            return lax.cond(i < steps, one, lambda i, carry: carry, i, carry)

        losses = jnp.zeros((length, *seeds), jnp.float32)  # [K, *s]
        return lax.fori_loop(0, steps, body, (state, losses))

    return chunk


def eval_chunk(
    split: SplitModel, length: int, batch_size: int, *, mesh: Mesh = ONE
) -> Callable[..., Any]:
    """A function of (params, rest, data, payload, steps, count) that evaluates batches.

    `count` int32 [] is how many examples of the chunk are real. It returns `EvalSums`
    with a leading axis [length].
    """

    def chunk(
        params: Any, rest: Any, data: Any, payload: Any, steps: jax.Array, count: jax.Array
    ) -> metrics.EvalSums:
        def body(i: jax.Array, sums: metrics.EvalSums) -> metrics.EvalSums:
            x, y = mesh.split(take(data, payload, i))
            outputs, probabilities = split.judge(params, rest, x)  # [b, c]
            places = i * batch_size + jnp.arange(batch_size, dtype=jnp.int32)  # [b]
            batch = metrics.eval_sums(
                outputs, probabilities, y, places < count, task=split.task
            )
            return jax.tree.map(lambda all_, one: all_.at[i].set(one), sums, batch)

        def answers(payload: Any) -> dict[str, jax.Array]:
            outputs, probabilities = split.judge(params, rest, take(data, payload, 0)[0])
            return split.task.answers(outputs, probabilities)

        empty = metrics.EvalSums(
            loss=jnp.zeros(length, jnp.float32),
            correct=jnp.zeros(length, jnp.int32),
            answers={
                name: jnp.zeros((length, *one.shape), one.dtype)  # [K, b, ...]
                for name, one in jax.eval_shape(answers, payload).items()
            },
        )
        return lax.fori_loop(0, steps, body, empty)

    return chunk


@dataclass(frozen=True)
class Compiled:
    """A compiled program, what it was compiled from, and how long both took to make."""

    call: jax.stages.Compiled
    lowered: jax.stages.Lowered
    seconds: float


def compile_ahead(
    function: Callable[..., Any], *args: Any, donate: tuple[int, ...], mesh: Mesh = ONE
) -> Compiled:
    """Compiles for the shapes and places of `args`, which are not consumed.

    What comes out is on every device of the mesh.
    """
    start = time.perf_counter()
    jitted = jax.jit(
        channels_last(function), donate_argnums=donate, out_shardings=mesh.everywhere
    )
    lowered = jitted.lower(*args)
    return Compiled(lowered.compile(), lowered, time.perf_counter() - start)
