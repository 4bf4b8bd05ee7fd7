"""Checks of what a model's constructor gives."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness import program
from harness.checkpoints import Checkpoint, Checkpoints
from harness.checks import made_up
from harness.checks.check import Check, Fault, NotApplicable
from harness.checks.subject import SEED, ModelSubject
from harness.errors import Unsupported, first_line
from harness.saved import named_leaves
from harness.specs import GivesProbabilities


def constructs(subject: ModelSubject) -> str:
    """The factory builds an `nnx.Module`."""
    model = subject.build()
    if not isinstance(model, nnx.Module):
        raise Fault(
            given=f"the factory returned {type(model).__name__}",
            expected="an nnx.Module", do="register the class itself",
        )  # fmt: skip
    return f"on {subject.told}"


def outputs(subject: ModelSubject) -> str:
    """Shape and dtype for a batch, for two examples and for one, in both modes."""
    split, params, rest = subject.parts
    for count in (len(subject.x), 2, 1):
        x = jnp.asarray(subject.x[:count])
        found = jax.eval_shape(split.eval_outputs, params, rest, x)
        _check_shape(found, count, subject.spec.num_classes, f"x {list(x.shape)}")
        found, _ = jax.eval_shape(split.train_outputs, params, rest, x)
        _check_shape(found, count, subject.spec.num_classes, f"x {list(x.shape)} in training")
    answers_itself = issubclass(type(subject.build()), GivesProbabilities)
    if subject.spec.task == "classification" and not answers_itself:
        _check_no_probabilities(subject.answers(subject.x))
    return f"float32 [b, {subject.spec.num_classes}]"


def _check_shape(found: Any, count: int, num_classes: int, when: str) -> None:
    wanted = [count, num_classes]
    if not isinstance(found, jax.Array | jax.ShapeDtypeStruct):
        given = f"for {when} the model returned {type(found).__name__}"
    elif list(found.shape) != wanted or found.dtype != jnp.float32:
        given = f"for {when} the model returned {found.dtype} {list(found.shape)}"
    else:
        return
    raise Fault(
        given=given, expected=f"float32 [batch, num_classes] = {wanted}",
        do="return the logits of the last layer as they are",
    )  # fmt: skip


def _check_no_probabilities(found: np.ndarray) -> None:
    """The loss takes outputs [b, c] as logits: a softmax before it is one too many."""
    if (found >= 0).all() and np.allclose(found.sum(axis=-1), 1.0, atol=1e-3):
        raise Fault(
            given="the outputs are probabilities: none below 0, and each row sums to 1",
            expected="logits", do="drop the softmax, or write the method `probabilities`",
        )  # fmt: skip


def foreign_spec(subject: ModelSubject) -> str:
    """Other sizes: what the code carries instead of asking the spec breaks here."""
    spec = made_up.foreign(subject.spec)
    other = subject.on(spec)
    sizes = f"shape {list(spec.shape)}, {spec.num_classes} classes"
    if spec.vocab_size is not None:
        sizes += f", vocabulary {spec.vocab_size}"
    did = "constructor"
    try:
        other.parts  # noqa: B018  (builds it)
        did = "call"
        found = other.answers(other.x)
    except Unsupported as refused:
        return f"refuses {sizes}: {refused}"
    except Exception as error:
        raise Fault(
            given=f"with {sizes} the {did} raised {type(error).__name__}: {first_line(error)}",
            expected=f"logits [{len(other.x)}, {spec.num_classes}], or harness.Unsupported "
            "with the reason",
            do="take every size from `data`",
        ) from error
    wanted = [len(other.x), spec.num_classes]
    if list(found.shape) != wanted:
        raise Fault(
            given=f"with {sizes} the model returned {list(found.shape)}",
            expected=f"{wanted}", do="take every size from `data`",
        )  # fmt: skip
    if not np.isfinite(found).all():  # an id beyond a table of vectors reads as NaN
        raise Fault(
            given=f"with {sizes} the outputs are not finite", expected="finite numbers",
            do="take the size of every table from `data`",
        )  # fmt: skip
    return sizes


def same_seed(subject: ModelSubject) -> str:
    """The same seed gives the same bits, another seed other parameters."""
    first, again, other = (subject.split(seed=seed)[1:] for seed in (SEED, SEED, SEED + 1))
    for (path, a), (_, b) in zip(named_leaves(first), named_leaves(again), strict=True):
        if _bits(a) != _bits(b):
            raise Fault(
                given=f"one seed gave two values of {path.partition('/')[2]}",
                expected="the same bits", do="take every random number from `rngs`",
            )  # fmt: skip
    pairs = list(zip(jax.tree.leaves(first[0]), jax.tree.leaves(other[0]), strict=True))
    if not pairs:
        raise NotApplicable("the model has no parameters")
    if any(_bits(a) != _bits(b) for a, b in pairs):
        return ""
    if all(_is_constant(leaf) for leaf, _ in pairs):
        raise NotApplicable("each parameter starts at one value throughout, as zeros do")
    raise Fault(
        given="seeds 0 and 1 gave the same parameters", expected="others for another seed",
        do="give `rngs` to every layer, and make no nnx.Rngs of your own",
    )  # fmt: skip


def _bits(leaf: Any) -> bytes:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()


def _is_constant(leaf: Any) -> bool:
    values = np.asarray(leaf).ravel()
    return bool((values == values[:1]).all())


def state_round_trip(subject: ModelSubject) -> str:
    """Everything a model holds goes through a checkpoint and comes back as it was."""
    _, params, rest = subject.parts
    # as a run holds it: arrays on the device
    state = jax.tree.map(jnp.copy, program.TrainState(params, rest, None))
    notes: list[str] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        kept = Checkpoints(Path(folder) / "c", every_s=0, resume=True, note=notes.append)
        kept.write(1, Checkpoint({"state": state}, {}))
        found = kept.read({"state": state})
        kept.close()
    if found is None:
        why = "; ".join(" ".join(note.split()) for note in notes)
        raise Fault(
            given=f"a checkpoint could not be written and read ({why})",
            expected="a type that checkpoints hold in every nnx.Variable",
            do="keep it in a common one such as int8, and settings in plain attributes",
        )  # fmt: skip
    x = jnp.asarray(subject.x)
    back = found.trees["state"]
    before, after = (subject.judge(s.params, s.rest, x) for s in (state, back))
    if not np.array_equal(before, after, equal_nan=True):
        raise Fault(
            given="outputs differ after a checkpoint", expected="the same bits",
            do="keep what the call depends on in an nnx.Variable",
        )  # fmt: skip
    return ""


CHECKS: tuple[Check[ModelSubject], ...] = (
    Check("constructs", "builds from the data set's spec", constructs),
    Check("outputs", "returns float32 logits [batch, num_classes]", outputs, ("constructs",)),
    Check("foreign_spec", "serves other sizes, or refuses them", foreign_spec, ("outputs",)),
    Check(
        "same_seed", "the seed decides the start, to the bit", same_seed, ("constructs",)
    ),
    Check(
        "state_round_trip", "goes through a checkpoint unchanged", state_round_trip,
        ("outputs",),
    ),
)  # fmt: skip
