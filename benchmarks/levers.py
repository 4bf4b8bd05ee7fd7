"""What each lever of the training step brings: the step with it and without it.

The transformer at the tutorial's sizes on random tokens of IMDB's shape. Variants that one
process can hold are compiled side by side and run in turn, a chunk each; huge pages are a
matter of a process's environment, so those are compared between processes, in turn as
well. Printed are medians and, round by round, the ratio to the step as it is.

    python benchmarks/levers.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

import harness
from harness import machine, program
from harness.allocator import VARIABLE, worker_environment
from harness.optimizers import make_optimizer
from harness.recipe import Recipe

STEPS, BATCH, ROUNDS, PAIRS = 15, 128, 12, 4
SPEC = harness.DataSpec(kind="tokens", shape=(200,), vocab_size=20_000, num_classes=2, pad_id=0)
Patch = Callable[[], AbstractContextManager[Any]]
# the files whose names are exchanged, found through a model: what it is made of is its own
BUILT: Any = harness.build_model("transformer", data=SPEC, seed=0)
_layers: Any = sys.modules[type(BUILT.blocks[0]).__module__]
_attention: Any = sys.modules[type(BUILT.blocks[0].attention.inner).__module__]


def plain_attention(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None
) -> jax.Array:
    """The formula as it stands in the paper; gradients by JAX."""
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key)
    return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(scores), value)


OWN_ATTENTION = _attention.attend


def mapped_attention(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None
) -> jax.Array:
    """Eight examples at a time, one after the other: everything fits in a cache."""

    def eight(arrays: tuple[jax.Array, ...]) -> jax.Array:
        return OWN_ATTENTION(*arrays, None)

    parts = tuple(a.reshape(-1, 8, *a.shape[1:]) for a in (query, key, value))  # [b/8, 8, ...]
    return lax.map(eight, parts).reshape(query.shape)  # [b/8, 8, h, t, d/h] -> [b, h, t, d/h]


def heads_last(self: Any, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Attention with the heads left where the projections put them."""
    b, t, d = x.shape
    split = (b, t, self.num_heads, d // self.num_heads)
    query, key, value = (f(x).reshape(split) for f in (self.query, self.key, self.value))
    scores = jnp.einsum("bqhd,bkhd->bhqk", query * split[-1] ** -0.5, key)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value)
    return self.out(mixed.reshape(x.shape))  # [b, t, h, d/h] -> [b, t, d]


def loop_body(step: program.Step, length: int) -> Callable[..., Any]:
    """A chunk whose step is the loop's body itself, not a conditional in it."""

    def chunk(state: Any, data: Any, payload: Any, steps: jax.Array) -> Any:
        def body(i: jax.Array, carry: Any) -> Any:
            state, losses = carry
            state, loss = step(state, program.take(data, payload, i))
            return state, losses.at[i].set(loss)

        return lax.fori_loop(0, steps, body, (state, jnp.zeros(length, jnp.float32)))

    return chunk


@contextmanager
def all_plain() -> Iterator[None]:
    """Every lever of this file off at once."""
    with (
        mock.patch.object(_attention, "attend", plain_attention),
        mock.patch.object(_layers, "Dropout", nnx.Dropout),
        mock.patch.object(program, "train_chunk", loop_body),
    ):
        yield


VARIANTS: dict[str, tuple[str, Patch]] = {
    "as it is": ("transformer", nullcontext),
    "attention as in the paper, heads in front": (
        "transformer", lambda: mock.patch.object(_attention, "attend", plain_attention)
    ),
    "attention as in the paper, heads behind": (
        "transformer",
        lambda: mock.patch.object(_attention.SelfAttention, "__call__", heads_last),
    ),
    "attention's forward pass repeated in the backward": (
        "transformer",
        lambda: mock.patch.object(_attention, "attend", jax.checkpoint(OWN_ATTENTION)),
    ),
    "no groups, attention 8 examples at a time": (
        "transformer[groups=1]",
        lambda: mock.patch.object(_attention, "attend", mapped_attention),
    ),
    "nnx.Dropout: 32 bits and a hash each": (
        "transformer", lambda: mock.patch.object(_layers, "Dropout", nnx.Dropout)
    ),
    "the batch whole, no groups": ("transformer[groups=1]", nullcontext),
    "2 groups": ("transformer[groups=2]", nullcontext),
    "4 groups": ("transformer[groups=4]", nullcontext),
    "the step as the loop's body, no conditional": (
        "transformer", lambda: mock.patch.object(program, "train_chunk", loop_body)
    ),
    "none of these": ("transformer[groups=1]", all_plain),
}  # fmt: skip


class Arm:
    """One variant, compiled, with a state of its own."""

    def __init__(self, selection: str, patch: Patch) -> None:
        random = np.random.RandomState(0)
        x = random.randint(0, 20_000, (4096, 200)).astype(np.int32)
        y = random.randint(0, 2, 4096).astype(np.int32)
        self.data = jax.device_put({"x": x, "y": y})
        rows = random.permutation(4096)[: STEPS * BATCH].astype(np.int32)
        self.payload = rows.reshape(STEPS, BATCH)  # [k, b]
        optimizer = make_optimizer(Recipe(), steps=STEPS)
        with patch():
            built = harness.build_model(selection, data=SPEC, seed=0)
            split, params, rest = program.split_model(built)

            def step(state: program.TrainState, batch: program.Batch) -> Any:
                return program.train_step(split, optimizer, state, batch)

            state = program.TrainState(params, rest, optimizer.init(params))
            self.state = jax.tree.map(jnp.copy, state)
            self.compiled = program.compile_ahead(
                program.train_chunk(step, STEPS), self.state, self.data, self.payload,
                np.int32(1), donate=(0,),
            )  # fmt: skip

    def step_ms(self, steps: int = STEPS) -> float:
        """Runs one chunk; milliseconds a step."""
        start = time.perf_counter()
        self.state, _ = jax.block_until_ready(
            self.compiled.call(self.state, self.data, self.payload, np.int32(steps))
        )
        return 1e3 * (time.perf_counter() - start) / steps


def in_one_process() -> None:
    arms = {name: Arm(*variant) for name, variant in VARIANTS.items()}
    times: dict[str, list[float]] = {name: [] for name in [*arms, "chunks of one step"]}
    for _ in range(ROUNDS + 1):
        for name, arm in arms.items():
            times[name].append(arm.step_ms())
        lone = [arms["as it is"].step_ms(1) for _ in range(STEPS)]
        times["chunks of one step"].append(sum(lone) / STEPS)
    base = times["as it is"][1:]
    print("| training step | ms | times as it is | compile s |\n|---|---:|---:|---:|")
    for name, values in times.items():
        compile_s = f"{arms[name].compiled.seconds:.1f}" if name in arms else ""
        shown = ratio_text(values[1:], base)
        print(f"| {name} | {median(values[1:]):.1f} | {shown} | {compile_s} |")


def between_processes() -> None:
    plain = {k: v for k, v in os.environ.items() if k not in (VARIABLE, "XLA_FLAGS")}
    huge = worker_environment(plain)
    settings = {
        "as it is: huge pages": huge,
        "pages of 4 KiB": plain,
        "XLA_FLAGS=--xla_cpu_prefer_vector_width=512": {
            **huge, "XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"
        },
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in settings}
    for _ in range(PAIRS):
        for name, environment in settings.items():
            done = subprocess.run(
                [sys.executable, __file__, "one"], env=environment, check=True,
                capture_output=True, text=True,
            )  # fmt: skip
            times[name].append(json.loads(done.stdout))
    base = next(iter(times.values()))
    print("\n| a process each | ms | times as it is |\n|---|---:|---:|")
    for name, values in times.items():
        print(f"| {name} | {median(values):.1f} | {ratio_text(values, base)} |")


def ratio_text(values: list[float], base: list[float]) -> str:
    """Ratios round by round: their median, smallest and largest."""
    ratios = sorted(a / b for a, b in zip(values, base, strict=True))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def main() -> None:
    if sys.argv[1:] == ["one"]:
        arm = Arm(*VARIANTS["as it is"])
        print(median([arm.step_ms() for _ in range(ROUNDS + 1)][1:]))
        return
    in_one_process()
    between_processes()
    print(f"\n{ROUNDS} rounds of {STEPS} steps, {BATCH} examples each; {PAIRS} pairs.")
    jax_version = machine.versions()["jax_version"]
    print(f"{machine.cpu_model()}, {os.cpu_count()} cores, jax {jax_version}")


if __name__ == "__main__":
    main()
