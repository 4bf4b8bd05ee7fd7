"""The harness's own engine, and beside it the same step in a bare compiled scan.

The clock is read where the engine says that a phase begins. Between two epochs the bare
scan takes as many steps, so that both see the same minute of a noisy machine.
"""

from __future__ import annotations

import json
import platform
import time
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jax import lax

import harness
from benchmarks.peers import sizes
from benchmarks.peers.job import Answer, Data, Job, read_data, timed
from harness import engine, orders, program
from harness.events import EpochEnd, Event, Measured, Phase, to_line
from harness.optimizers import make_optimizer
from harness.recipe import Recipe

SPEC = harness.DataSpec(
    kind="tokens", shape=(sizes.LENGTH,), vocab_size=sizes.VOCAB, num_classes=2, pad_id=0
)


class BareScan:
    """An epoch of steps with nothing around them: data on the device, one scan a chunk."""

    def __init__(self, model: str, spec: harness.DataSpec, data: Data, recipe: Recipe) -> None:
        order = orders.training_order(
            len(data.x_train), batch_size=recipe.batch_size, epochs=1, seed=0
        )
        self.chunks = [jax.device_put(order[i]) for i in range(len(order))]  # [k, b] each
        self.data = jax.device_put((data.x_train, data.y_train))
        built = harness.build_model(model, data=spec, seed=0)
        dtype = jax.numpy.dtype(recipe.precision)
        split, params, rest = program.split_model(built, dtype=dtype)
        optimizer = make_optimizer(recipe, steps=order.steps_per_epoch)
        self.state = program.TrainState(params, rest, optimizer.init(params))

        def scan(state: Any, data: Any, rows: Any) -> Any:
            def step(state: Any, at: Any) -> Any:
                batch = data[0][at], data[1][at]
                return program.train_step(
                    split, optimizer, state, batch, accumulate=recipe.accumulate
                )

            return lax.scan(step, state, rows)

        jitted = jax.jit(scan, donate_argnums=(0,))
        shapes = {rows.shape for rows in self.chunks}
        self.compiled = {
            shape: jitted.lower(
                self.state, self.data, jax.ShapeDtypeStruct(shape, np.int32)
            ).compile()
            for shape in shapes
        }
        self.epoch()

    def epoch(self) -> None:
        for rows in self.chunks:
            self.state, _ = self.compiled[rows.shape](self.state, self.data, rows)
            jax.block_until_ready(self.state)


class Clock:
    """Hears the engine's events; keeps when phases began and what was measured."""

    def __init__(self, scan: BareScan) -> None:
        self.scan = scan
        self.train_s: list[float] = []
        self.eval_s: list[float] = []
        self.scan_s: list[float] = []
        self.accuracy: list[float] = []
        self.measured: dict[str, Any] = {}
        self.since = 0.0

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        json.loads(to_line(event))  # what a worker's pipe costs
        if isinstance(event, Phase) and event.name == "evaluate":
            self.train_s.append(now - self.since)
        elif isinstance(event, EpochEnd):
            self.eval_s.append(now - self.since)
            self.accuracy.append(event.values["test_accuracy"])
            self.scan_s.append(timed(self.scan.epoch)[1])
        elif isinstance(event, Measured):
            self.measured |= event.values
        self.since = time.perf_counter() if isinstance(event, Phase) else self.since


def run(job: Job) -> Answer:
    data = read_data(job.data)
    dataset = harness.Dataset(
        train={"x": data.x_train, "y": data.y_train},
        test={"x": data.x_test, "y": data.y_test},
        spec=SPEC,
    )
    recipe = Recipe(
        batch_size=sizes.BATCH, eval_batch_size=sizes.EVAL_BATCH, epochs=job.epochs,
        learning_rate=sizes.LEARNING_RATE,
    )  # fmt: skip
    clock = Clock(BareScan(job.model, SPEC, data, recipe))
    clock.since = time.perf_counter()
    model = harness.build_model(job.model, data=SPEC, seed=0)
    engine.fit(model, dataset, recipe, seed=0, emit=clock)
    # others compile inside their first epoch
    clock.train_s[0] += clock.measured["compile_s"]
    shown = ("flops_per_step", "bytes_per_step", "temp_bytes", "host_overhead_pct")
    return Answer(
        param_count=clock.measured["param_count"],
        train_s=clock.train_s,
        eval_s=clock.eval_s,
        step_ms=clock.measured["step_ms_p50"],
        accuracy=clock.accuracy[-1],
        versions={
            "Python": platform.python_version(),
            **{name: version(name) for name in ("jax", "jaxlib", "flax", "grain", "optax")},
        },
        extra={
            **{name: clock.measured[name] for name in shown},
            "scan_s": clock.scan_s,
        },
    )
