"""What a training step of convolutions takes: by itself, in a loop, and in the engine's loop.

`nnx.Conv` of 3, 4 and 5 words as `text_cnn` has them, and two layers of it on images of 28
times 28 points, on random data. The engine's loop has the convolutions rewritten by
`harness.convolutions`. The last way multiplies the words of each window, side by side, with
all filters. All are compiled side by side and run in turn; printed are medians and, round by
round, the ratio to the engine's loop.

    python -m benchmarks.convolution
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from harness import machine, program

STEPS, BATCH, ROUNDS = 4, 128, 5
ENGINE = "in the engine's loop"


class Windows(nnx.Module):
    """A convolution of `nnx.Conv`'s arguments as a product of windows."""

    def __init__(self, width: int, maps: int, words: int, *, rngs: nnx.Rngs) -> None:
        self.words = words
        self.product = nnx.Linear(words * width, maps, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        padded = jnp.pad(x, ((0, 0), (self.words - 1, 0), (0, 0)))  # [b, t + words - 1, d]
        windows = [padded[:, i : i + x.shape[1]] for i in range(self.words)]
        return self.product(jnp.concatenate(windows, axis=-1))  # [b, t, words * d] -> maps


class TextConv(nnx.Module):
    """Filters of 3, 4 and 5 words, each one's largest response, a linear layer."""

    def __init__(self, layer: Callable[..., Any], rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(20_000, 32, rngs=rngs)
        self.filters = nnx.List(layer(32, 100, width, rngs=rngs) for width in (3, 4, 5))
        self.out = nnx.Linear(300, 2, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = self.embed(tokens)  # [b, t, d]
        found = [filters(x).max(axis=1) for filters in self.filters]  # [b, maps] each
        return self.out(nnx.relu(jnp.concatenate(found, axis=1)))


class ImageConv(nnx.Module):
    """Two layers of 3 by 3 with a pooling behind each, and a linear layer."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(1, 32, (3, 3), rngs=rngs)
        self.second = nnx.Conv(32, 64, (3, 3), rngs=rngs)
        self.out = nnx.Linear(7 * 7 * 64, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in (self.first, self.second):
            x = nnx.max_pool(nnx.relu(layer(x)), (2, 2), strides=(2, 2))
        return self.out(x.reshape(x.shape[0], -1))  # [b, 7, 7, 64] -> [b, 3136]


@dataclass(frozen=True)
class Way:
    """A way to take `STEPS` steps: a function of a state that returns the next one."""

    name: str
    run: Callable[[Any], Any]
    state: program.TrainState


def ways(model: nnx.Module, data: dict[str, jax.Array]) -> list[Way]:
    """The step by itself, in a loop as XLA compiles it, and as the engine compiles it."""
    split, params, rest = program.split_model(model)
    optimizer = optax.adam(1e-3)
    state = program.TrainState(params, rest, optimizer.init(params))
    rows = np.arange(STEPS * BATCH, dtype=np.int32).reshape(STEPS, BATCH)  # [k, b]
    count = np.int32(STEPS)

    def step(state: program.TrainState, batch: program.Batch) -> Any:
        return program.train_step(split, optimizer, state, batch)

    alone = jax.jit(lambda state, data, rows: step(state, program.take(data, rows, 0)))
    chunk = program.train_chunk(step, STEPS)
    loop = jax.jit(chunk)
    engine = program.compile_ahead(chunk, state, data, rows, count, donate=()).call

    def apart(state: Any) -> Any:
        for i in range(STEPS):
            state, _ = alone(state, data, rows[i : i + 1])
        return state

    return [
        Way("a step by itself", apart, state),
        Way("in a loop", lambda s: loop(s, data, rows, count)[0], state),
        Way(ENGINE, lambda s: engine(s, data, rows, count)[0], state),
    ]


def measure(chosen: list[Way]) -> list[list[float]]:
    """Milliseconds a step of each way, a list a round; the first round is left out."""
    states, rounds = [way.state for way in chosen], []
    for _ in range(ROUNDS + 1):
        times = []
        for i, way in enumerate(chosen):
            start = time.perf_counter()
            states[i] = jax.block_until_ready(way.run(states[i]))
            times.append(1e3 * (time.perf_counter() - start) / STEPS)
        rounds.append(times)
    return rounds[1:]


def report(title: str, chosen: list[Way]) -> None:
    rounds = measure(chosen)
    base = [way.name for way in chosen].index(ENGINE)
    print(f"\n## {title}\n\n| way | step ms, median | min | max | of the engine's |")
    print("|---|---:|---:|---:|---:|")
    for i, way in enumerate(chosen):
        column = [times[i] for times in rounds]
        ratio = statistics.median(times[i] / times[base] for times in rounds)
        print(f"| {way.name} | {statistics.median(column):.2f} | {min(column):.2f} "
              f"| {max(column):.2f} | {ratio:.2f} |")  # fmt: skip


def main() -> None:
    if sys.argv[1:]:
        sys.exit(f"{__doc__}\nIt takes no arguments.")
    random, n = np.random.RandomState(0), STEPS * BATCH
    texts = {
        "x": jnp.asarray(random.randint(1, 20_000, (n, 200)), jnp.int32),
        "y": jnp.asarray(random.randint(0, 2, n), jnp.int32),
    }
    images = {
        "x": jnp.asarray(random.rand(n, 28, 28, 1), jnp.float32),
        "y": jnp.asarray(random.randint(0, 10, n), jnp.int32),
    }
    print("# Convolutions in a loop")
    causal = partial(nnx.Conv, padding="CAUSAL")
    windows = ways(TextConv(Windows, nnx.Rngs(0)), texts)[-1]
    windows = Way("windows, in the engine's loop", windows.run, windows.state)
    report("Texts", [*ways(TextConv(causal, nnx.Rngs(0)), texts), windows])
    report("Images", ways(ImageConv(nnx.Rngs(0)), images))
    device = jax.devices()[0].device_kind
    print(f"\n{ROUNDS} rounds of {STEPS} steps, {BATCH} examples each; {device} with "
          f"{machine.cpu_model()}, {platform.machine()}, jax {jax.__version__}")  # fmt: skip


if __name__ == "__main__":
    main()
