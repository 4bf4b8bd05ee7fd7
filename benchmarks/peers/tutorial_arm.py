"""The loop as the tutorial writes it: examples through Grain, a jitted step, a loss each.

The model is the tutorial's too (its layers, `nnx.MultiHeadAttention` included), except
that it returns logits, so that every arm computes the same function.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import grain.python as grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from benchmarks.peers import sizes
from benchmarks.peers.job import Answer, Data, Job, block_ms, read_data, run_epochs


class Block(nnx.Module):
    """Post-norm encoder block."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.attention = nnx.MultiHeadAttention(
            sizes.HEADS, sizes.WIDTH, decode=False, rngs=rngs
        )
        self.expand = nnx.Linear(sizes.WIDTH, sizes.WIDTH, rngs=rngs)
        self.contract = nnx.Linear(sizes.WIDTH, sizes.WIDTH, rngs=rngs)
        self.norms = nnx.List(
            nnx.LayerNorm(sizes.WIDTH, epsilon=1e-6, rngs=rngs) for _ in range(2)
        )
        self.dropouts = nnx.List(nnx.Dropout(sizes.DROPOUT, rngs=rngs) for _ in range(2))

    def __call__(self, x: jax.Array) -> jax.Array:
        """[b, t, d] to [b, t, d]."""
        x = self.norms[0](x + self.dropouts[0](self.attention(x, x)))
        hidden = self.contract(jax.nn.relu(self.expand(x)))
        return self.norms[1](x + self.dropouts[1](hidden))


class Classifier(nnx.Module):
    """Embedding, the block if there is one, mean, head of 20 units."""

    def __init__(self, *, transformer: bool, rngs: nnx.Rngs) -> None:
        self.token = nnx.Embed(sizes.VOCAB, sizes.WIDTH, rngs=rngs)
        self.position = nnx.Embed(sizes.LENGTH, sizes.WIDTH, rngs=rngs) if transformer else None
        self.block = Block(rngs) if transformer else None
        self.dropouts = nnx.List(nnx.Dropout(sizes.DROPOUT, rngs=rngs) for _ in range(2))
        self.hidden = nnx.Linear(sizes.WIDTH, sizes.UNITS, rngs=rngs)
        self.out = nnx.Linear(sizes.UNITS, 2, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """int32 [b, t] to logits [b, 2]."""
        x = self.token(tokens)
        if self.position is not None and self.block is not None:
            x = self.block(x + self.position(jnp.arange(sizes.LENGTH)))
        x = self.dropouts[0](x.mean(axis=1))  # [b, d]
        return self.out(self.dropouts[1](jax.nn.relu(self.hidden(x))))


class Source(grain.RandomAccessDataSource):
    """Single examples, as the tutorial hands them out."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self._x, self._y = x, y

    def __getitem__(self, index: Any) -> dict[str, Any]:
        return {"x": self._x[index], "y": self._y[index]}

    def __len__(self) -> int:
        return len(self._x)


def _loader(
    x: np.ndarray, y: np.ndarray, *, batch: int, shuffle: bool, workers: int
) -> grain.DataLoader:
    sampler = grain.IndexSampler(
        len(x), shuffle=shuffle, seed=12, shard_options=grain.NoSharding(), num_epochs=1
    )
    return grain.DataLoader(
        data_source=Source(x, y),
        sampler=sampler,
        worker_count=workers,
        worker_buffer_size=2 if workers else 1,
        operations=[grain.Batch(batch, drop_remainder=shuffle)],
    )


def _loss(model: Classifier, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    logits = model(x)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)  # [b]
    return losses.mean(), logits


@nnx.jit
def train_step(model: Classifier, optimizer: nnx.Optimizer, batch: Any) -> jax.Array:
    x, y = jnp.array(batch["x"]), jnp.array(batch["y"], dtype=jnp.int32)
    (loss, _), grads = nnx.value_and_grad(_loss, has_aux=True)(model, x, y)
    optimizer.update(model, grads)
    return loss


@nnx.jit
def eval_step(model: Classifier, batch: Any, metrics: nnx.MultiMetric) -> None:
    x, y = jnp.array(batch["x"]), jnp.array(batch["y"], dtype=jnp.int32)
    loss, logits = _loss(model, x, y)
    metrics.update(loss=loss, logits=logits, labels=y)


def _train(model: Classifier, optimizer: nnx.Optimizer, loader: grain.DataLoader) -> None:
    model.train()
    for batch in loader:
        train_step(model, optimizer, batch).item()


def _evaluate(model: Classifier, loader: grain.DataLoader) -> float:
    model.eval()
    metrics = nnx.MultiMetric(loss=nnx.metrics.Average("loss"), accuracy=nnx.metrics.Accuracy())
    for batch in loader:
        eval_step(model, batch, metrics)
    return float(metrics.compute()["accuracy"])


def _bare_step_ms(
    model: Classifier, optimizer: nnx.Optimizer, data: Data, *, blocks: int
) -> float:
    model.train()
    batch = {
        "x": jnp.asarray(data.x_train[: sizes.BATCH]),
        "y": jnp.asarray(data.y_train[: sizes.BATCH]),
    }

    def block() -> None:
        for _ in range(sizes.BLOCK_STEPS):
            train_step(model, optimizer, batch).block_until_ready()

    return block_ms(block, blocks=blocks)


def run(job: Job) -> Answer:
    data, workers = read_data(job.data), job.options["workers"]
    model = Classifier(transformer=job.model == "transformer", rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(sizes.LEARNING_RATE), wrt=nnx.Param)
    train = _loader(
        data.x_train, data.y_train, batch=sizes.BATCH, shuffle=True, workers=workers
    )
    test = _loader(
        data.x_test, data.y_test, batch=sizes.EVAL_BATCH, shuffle=False, workers=workers
    )
    measured = run_epochs(
        job.epochs, lambda: _train(model, optimizer, train), lambda: _evaluate(model, test)
    )
    params = jax.tree.leaves(nnx.state(model, nnx.Param))
    return Answer(
        param_count=sum(p.size for p in params),
        **measured,
        step_ms=_bare_step_ms(model, optimizer, data, blocks=job.blocks),
        versions={name: version(name) for name in ("jax", "flax", "grain", "optax")},
        extra={},
    )
