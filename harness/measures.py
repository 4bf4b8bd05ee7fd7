"""What a trained model says of each example, and what metrics make of it.

The programs that train and evaluate stay as they are, whatever is measured: this one is
compiled behind them, goes over a split once more and hands everything to the host. Its time
is `metric_s` and in no other column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from harness import program
from harness.assemble import Evaluator
from harness.errors import Unsupported
from harness.metrics import flat
from harness.specs import DataSpec, Predictions

Metric = Callable[[Predictions], float]


def predict(evaluator: Evaluator, state: program.TrainState, spec: DataSpec) -> Predictions:
    """What the model says of every example of an evaluator's split."""
    mesh = evaluator.mesh
    chunk = jax.jit(_outputs_chunk(evaluator.split), out_shardings=mesh.everywhere)
    told: list[tuple[np.ndarray, np.ndarray]] = []
    for part in evaluator.chunks():
        payload = mesh.payload(part.payload)
        out = chunk(state.params, state.rest, evaluator.data, payload)
        told.append(tuple(flat(np.asarray(a)[: part.steps]) for a in out))  # type: ignore
    size = len(evaluator.examples)
    # what fills up the last batch stands at the end
    outputs, probabilities = (
        evaluator.order.restored(np.concatenate(parts)[:size])
        for parts in zip(*told, strict=True)
    )
    return Predictions(
        outputs=outputs, probabilities=probabilities, labels=evaluator.examples.labels(),
        spec=spec,
    )  # fmt: skip


def _outputs_chunk(split: program.SplitModel) -> Callable[..., Any]:
    """A function of (params, rest, data, payload) that gives what is said of its batches.

    It returns outputs and probabilities, both float32 [K, b, c].
    """

    def chunk(params: Any, rest: Any, data: Any, payload: Any) -> tuple[jax.Array, jax.Array]:
        def one(step: jax.Array) -> tuple[jax.Array, jax.Array]:
            told = split.judge(params, rest, program.take(data, payload, step)[0])
            return told[0].astype(jnp.float32), told[1].astype(jnp.float32)

        length = jax.tree.leaves(payload)[0].shape[0]
        return lax.map(one, jnp.arange(length, dtype=jnp.int32))

    return chunk


def measure(
    metrics: Mapping[str, Metric],
    splits: Mapping[str, Evaluator],
    state: program.TrainState,
    spec: DataSpec,
    *,
    note: Callable[[str], None],
) -> tuple[dict[str, float | None], list[BaseException]]:
    """The value of each metric on each split, as `test_macro_f1`, and what metrics raised.

    A metric that raises has no value there. Where it is `Unsupported` a note says why;
    anything else is an error, which knows its metric, and stops no other.
    """
    found: dict[str, float | None] = {}
    errors: list[BaseException] = []
    for prefix, evaluator in splits.items():
        predictions = predict(evaluator, state, spec)
        for name, metric in metrics.items():
            found[f"{prefix}_{name}"] = None
            try:
                found[f"{prefix}_{name}"] = _value(name, metric, predictions, note)
            except (Exception, SystemExit) as error:
                error.add_note(f"(in metric {name})")
                errors.append(error)
    return found, errors


def _value(
    name: str, metric: Metric, predictions: Predictions, note: Callable[[str], None]
) -> float | None:
    try:
        value = float(metric(predictions))
    except Unsupported as refused:
        note(f"no {name}: {refused}")
        return None
    if np.isfinite(value):
        return value
    note(f"no {name}: it is {value}")  # and JSON has no such number
    return None
