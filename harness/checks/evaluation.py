"""Checks of how a model answers once it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.checks import made_up
from harness.checks.check import Check, Fault, NotApplicable
from harness.checks.subject import ModelSubject

# added to each value of a parameter, so that no head or gate of zeros hides what lies before it
NOISE = 0.1


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    """The same up to float32 sums in another order."""
    return np.allclose(a, b, rtol=1e-4, atol=1e-5)


def evaluation_repeats(subject: ModelSubject) -> str:
    """Dropout is off and nothing is drawn: the same input, the same bits."""
    x = jnp.asarray(subject.x)
    if not np.array_equal(subject.answers(x), subject.answers(x), equal_nan=True):
        raise Fault(
            given="two evaluations of one batch differ", expected="the same bits",
            do="draw nothing outside layers that follow eval(), as nnx.Dropout does",
        )  # fmt: skip
    model = subject.build()
    model.eval()
    first, second = (np.asarray(model(x)) for _ in range(2))  # type: ignore[operator]
    if not np.array_equal(first, second, equal_nan=True):
        raise Fault(
            given="a second call in evaluation answers otherwise than the first",
            expected="the same bits",
            do="change state in training only, and give nnx.Dropout no `deterministic`",
        )  # fmt: skip
    return ""


def rows_apart(subject: ModelSubject) -> str:
    """An example's answer in evaluation does not depend on what else is in the batch."""
    together = subject.answers(subject.x)
    turned = subject.answers(subject.x[::-1])[::-1]
    alone = subject.answers(subject.x[:1])
    for other, mine, when in ((turned, together, "in another order"),
                              (alone, together[:1], "alone")):  # fmt: skip
        if not _close(other, mine):
            raise Fault(
                given=f"an example {when} gets other logits, by up to "
                f"{np.abs(other - mine).max():.2g}",
                expected="the same up to rounding",
                do="mix no rows of a batch in evaluation (batch statistics follow eval())",
            )  # fmt: skip
    return ""


def padding_masked(subject: ModelSubject) -> str:
    """What stands for padding does not leak, where the model tells padding apart."""
    if subject.spec.pad_id is None:
        subject = subject.on(made_up.TOKENS) if subject.spec.kind == "tokens" else subject
    spec = subject.spec
    if spec.pad_id is None:
        raise NotApplicable(f"nothing of {subject.told} is padding")
    x = jnp.asarray(made_up.padded(np.asarray(subject.x), spec))
    params, rest = _with_noise(subject), subject.parts[2]
    told = np.asarray(subject.judge(params, rest, x))
    blind = replace(subject, spec=replace(spec, pad_id=None))
    unmasked = np.asarray(blind.judge(_with_noise(blind), blind.parts[2], x))
    if np.array_equal(told, unmasked, equal_nan=True):
        raise NotApplicable("it answers the same with data.pad_id=None: it masks nothing")
    changed, tables = _other_padding(params, spec.vocab_size or 0, spec.pad_id)
    if not tables:
        raise NotApplicable(
            "no parameter has just a row for each token, so no row is known to be of padding"
        )
    leaked = np.asarray(subject.judge(changed, rest, x))
    if not _close(told, leaked):
        raise Fault(
            given="another vector for the padding token changes logits by up to "
            f"{np.abs(told - leaked).max():.2g}",
            expected="no difference: the model tells padding apart",
            do="mask it in every sum, mean, maximum and attention",
        )  # fmt: skip
    if not np.isfinite(subject.answers(jnp.full_like(x, spec.pad_id))).all():
        raise Fault(
            given="a text of nothing but padding has logits that are not finite",
            expected="finite numbers", do="divide by at least one position",
        )  # fmt: skip
    return ""


def _with_noise(subject: ModelSubject) -> Any:
    """The parameters, each value a little beside its start: of equal models the same."""
    draw = np.random.default_rng(0)

    def near(leaf: jax.Array) -> jax.Array:
        return leaf + jnp.asarray(NOISE * draw.standard_normal(leaf.shape), leaf.dtype)

    return jax.tree.map(near, subject.parts[1])


def _other_padding(params: Any, vocab_size: int, pad_id: int) -> tuple[Any, int]:
    """The parameters with another vector for padding in each table of token vectors."""
    tables = 0

    def change(leaf: jax.Array) -> jax.Array:
        nonlocal tables
        if leaf.ndim != 2 or leaf.shape[0] != vocab_size:
            return leaf
        tables += 1
        # not the same for all channels: layer normalisation would take it away
        other = jnp.linspace(-3.0, 3.0, leaf.shape[1], dtype=leaf.dtype)  # [d]
        return leaf.at[pad_id].add(other)

    return jax.tree.map(change, params), tables


CHECKS: tuple[Check[ModelSubject], ...] = (
    Check(
        "evaluation_repeats", "evaluation gives the same bits again", evaluation_repeats,
        ("outputs",),
    ),
    Check(
        "rows_apart", "examples of a batch do not see each other", rows_apart,
        ("evaluation_repeats",),
    ),
    # it builds the model twice more, once for made-up data
    Check(
        "padding_masked", "padding does not leak where it is masked", padding_masked,
        ("foreign_spec", "same_seed", "evaluation_repeats"),
    ),
)  # fmt: skip
