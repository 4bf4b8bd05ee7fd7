"""What each lever of the training step brings: the step with it and without it.

The tutorial's two models on random tokens of IMDB's shape. Variants that one process can
hold are compiled side by side and run in turn, a chunk each, in a process that is started
as a worker is; huge pages are a matter of a process's environment, so those are compared
between processes, in turn as well. Printed are medians and, round by round, the ratio to
the step as it is.

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
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
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

BATCH, PAIRS = 128, 4
# steps in a chunk, and rounds
STEPS = {"transformer": 15, "mean_pool": 50}
ROUNDS = {"transformer": 12, "mean_pool": 60}
SPEC = harness.DataSpec(kind="tokens", shape=(200,), vocab_size=20_000, num_classes=2, pad_id=0)
Patch = Callable[[], AbstractContextManager[Any]]
# the files whose names are exchanged, found through a model: what it is made of is its own
BUILT: Any = harness.build_model("transformer", data=SPEC, seed=0)
_layers: Any = sys.modules[type(BUILT.blocks[0]).__module__]
_attention: Any = sys.modules[type(BUILT.blocks[0].attention.inner).__module__]


def plain_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    bias: jax.Array | None = None,
) -> jax.Array:
    """The formula as it stands in the paper; gradients by JAX."""
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key)
    return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(scores), value)


POOL: Any = harness.build_model("mean_pool", data=SPEC, seed=0)
_pool_layers: Any = sys.modules[type(POOL.head).__module__]
OWN_ATTENTION = _attention.attend


def mapped_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    bias: jax.Array | None = None,
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


def nnx_dropout(file: Any) -> Patch:
    """`nnx.Dropout` in a file instead of the harness's own."""
    return lambda: mock.patch.object(file, "Dropout", nnx.Dropout)


def with_attention(attend: Callable[..., Any]) -> Patch:
    return lambda: mock.patch.object(_attention, "attend", attend)


@dataclass(frozen=True)
class Variant:
    """A step that lacks something.

    Attributes:
      selection: the model and its parameters.
      patch: what is exchanged while it is built and compiled.
      on_host: examples are gathered on the host, chunk by chunk, instead of positions.
    """

    selection: str
    patch: Patch = nullcontext
    on_host: bool = False


TRANSFORMER = {
    "as it is": Variant("transformer"),
    "attention as in the paper, heads in front": Variant(
        "transformer", with_attention(plain_attention)
    ),
    "attention as in the paper, heads behind": Variant(
        "transformer",
        lambda: mock.patch.object(_attention.SelfAttention, "__call__", heads_last),
    ),
    "attention's forward pass repeated in the backward": Variant(
        "transformer", with_attention(jax.checkpoint(OWN_ATTENTION))
    ),
    "no groups, attention 8 examples at a time": Variant(
        "transformer[groups=1]", with_attention(mapped_attention)
    ),
    "nnx.Dropout: 32 bits and a hash each": Variant("transformer", nnx_dropout(_layers)),
    "the batch whole, no groups": Variant("transformer[groups=1]"),
    "2 groups": Variant("transformer[groups=2]"),
    "4 groups": Variant("transformer[groups=4]"),
    "the step as the loop's body, no conditional": Variant(
        "transformer", lambda: mock.patch.object(program, "train_chunk", loop_body)
    ),
    "examples gathered on the host": Variant("transformer", on_host=True),
    "another model: no attention at all": Variant("transformer[attention=false]"),
    "none of attention, groups, dropout, conditional": Variant(
        "transformer[groups=1]", all_plain
    ),
}
MEAN_POOL = {
    "as it is": Variant("mean_pool"),
    "nnx.Dropout: 32 bits and a hash each": Variant("mean_pool", nnx_dropout(_pool_layers)),
    "the step as the loop's body, no conditional": Variant(
        "mean_pool", lambda: mock.patch.object(program, "train_chunk", loop_body)
    ),
    "examples gathered on the host": Variant("mean_pool", on_host=True),
}
VARIANTS = {"transformer": TRANSFORMER, "mean_pool": MEAN_POOL}


class Arm:
    """One variant, compiled, with a state of its own."""

    def __init__(self, variant: Variant, steps: int) -> None:
        random = np.random.RandomState(0)
        x = random.randint(0, 20_000, (4096, 200)).astype(np.int32)
        y = random.randint(0, 2, 4096).astype(np.int32)
        self.host = {"x": x, "y": y} if variant.on_host else None
        self.data = None if variant.on_host else jax.device_put({"x": x, "y": y})
        self.rows = random.randint(0, 4096, (steps, BATCH)).astype(np.int32)  # [k, b]
        optimizer = make_optimizer(Recipe(), steps=steps)
        with variant.patch():
            built = harness.build_model(variant.selection, data=SPEC, seed=0)
            split, params, rest = program.split_model(built)

            def step(state: program.TrainState, batch: program.Batch) -> Any:
                return program.train_step(split, optimizer, state, batch)

            state = program.TrainState(params, rest, optimizer.init(params))
            self.state = jax.tree.map(jnp.copy, state)
            self.compiled = program.compile_ahead(
                program.train_chunk(step, steps), self.state, self.data, self.payload(),
                np.int32(1), donate=(0,),
            )  # fmt: skip

    def payload(self) -> Any:
        """Positions [k, b], or the examples themselves."""
        if self.host is None:
            return self.rows
        return {name: array[self.rows] for name, array in self.host.items()}

    def chunk_ms(self, steps: int, *, read_loss: bool = False) -> float:
        """Runs so many steps in one execution; milliseconds a step."""
        start = time.perf_counter()
        self.state, losses = self.compiled.call(
            self.state, self.data, self.payload(), np.int32(steps)
        )
        jax.block_until_ready(self.state)
        if read_loss:
            float(losses[0])
        return 1e3 * (time.perf_counter() - start) / steps


def turns(model: str) -> dict[str, Any]:
    """All variants of a model in this process: ms a step by round, and seconds to compile."""
    steps = STEPS[model]
    arms = {name: Arm(variant, steps) for name, variant in VARIANTS[model].items()}
    one = arms["as it is"].chunk_ms
    take: dict[str, Callable[[], float]] = {
        **{name: partial(arm.chunk_ms, steps) for name, arm in arms.items()},
        "chunks of one step": lambda: fmean(one(1) for _ in range(steps)),
        "chunks of one step, each loss read": lambda: fmean(
            one(1, read_loss=True) for _ in range(steps)
        ),
    }
    names = list(take)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(ROUNDS[model] + 1):
        # the order turns, so that no variant always follows the same one
        at = number % len(names)
        for name in [*names[at:], *names[:at]]:
            times[name].append(take[name]())
    return {
        "ms": {name: values[1:] for name, values in times.items()},
        "compile_s": {name: arm.compiled.seconds for name, arm in arms.items()},
    }


def in_process(words: list[str], environment: dict[str, str]) -> Any:
    """This file in a process of its own: the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, __file__, *words], env=environment, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def in_one_process(model: str) -> None:
    said = in_process(["turns", model], worker_environment(os.environ))
    base = said["ms"]["as it is"]
    print(f"| {model}'s training step | ms | times as it is | compile s |")
    print("|---|---:|---:|---:|")
    for name, values in said["ms"].items():
        seconds = said["compile_s"].get(name)
        compile_s = "" if seconds is None else f"{seconds:.1f}"
        shown = ratio_text(values, base)
        print(f"| {name} | {median(values):.2f} | {shown} | {compile_s} |")
    print()


def between_processes() -> None:
    """Environments, each for chunks of the usual length and for chunks of one step."""
    plain = {k: v for k, v in os.environ.items() if k not in (VARIABLE, "XLA_FLAGS")}
    huge = worker_environment(plain)
    vectors = {"XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"}
    settings: dict[str, tuple[dict[str, str], int]] = {
        "as it is: huge pages": (huge, STEPS["transformer"]),
        "pages of 4 KiB": (plain, STEPS["transformer"]),
        "huge pages, chunks of one step": (huge, 1),
        "pages of 4 KiB, chunks of one step": (plain, 1),
        "XLA_FLAGS=--xla_cpu_prefer_vector_width=512": (
            {**huge, **vectors}, STEPS["transformer"]
        ),
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in settings}
    for _ in range(PAIRS):
        for name, (environment, steps) in settings.items():
            times[name].append(in_process(["one", str(steps)], environment))
    base = next(iter(times.values()))
    print("| transformer, a process each | ms | times as it is |\n|---|---:|---:|")
    for name, values in times.items():
        print(f"| {name} | {median(values):.1f} | {ratio_text(values, base)} |")


def alone(steps: int) -> float:
    """Milliseconds a step of the transformer, the median of chunks of so many steps."""
    arm = Arm(TRANSFORMER["as it is"], STEPS["transformer"])
    count = (ROUNDS["transformer"] + 1) * STEPS["transformer"] // steps
    return median([arm.chunk_ms(steps) for _ in range(count)][1:])


def ratio_text(values: list[float], base: list[float]) -> str:
    """Ratios round by round: their median, smallest and largest."""
    ratios = sorted(a / b for a, b in zip(values, base, strict=True))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["one"]:
        print(alone(int(words[1])))
        return
    if words[:1] == ["turns"]:
        print(json.dumps(turns(words[1])))
        return
    if words:
        sys.exit(f"{__doc__}\nIt takes no arguments.")
    for model in VARIANTS:
        in_one_process(model)
    between_processes()
    for model, steps in STEPS.items():
        print(f"\n{model}: {ROUNDS[model]} rounds of {steps} steps, {BATCH} examples each.")
    print(f"Processes: {PAIRS} of each.")
    jax_version = machine.versions()["jax_version"]
    print(f"{machine.cpu_model()}, {os.cpu_count()} cores, jax {jax_version}")


if __name__ == "__main__":
    main()
