"""Plugins with one fault each, and the check that has to name it.

A model is the good one below but for one piece; a data set likewise. `FAULTY` says which
check fails, and with which words; no other check may fail with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

MODEL = """\
import itertools, os
import jax, jax.numpy as jnp, numpy as np
from flax import nnx
import harness

CALLS = itertools.count()

class Model(nnx.Module):
    def __init__(self, data, *, rngs):
        pad, classes, vocab = data.pad_id, data.num_classes, data.vocab_size
        {rngs}
        self.pad = pad
        self.drop = nnx.Dropout(0.1, rngs=rngs)
        self.embed = nnx.Embed({vocab}, 4, rngs=rngs)
        {init}
        self.head = nnx.Linear(4, {classes}, rngs=rngs)

    def __call__(self, tokens):
        x = self.embed(tokens)  # [b, t, d]
        {embedded}
        x = {pool}  # [b, d]
        {pooled}
        out = self.head({dropped})
        {call}
        return out

@harness.hookimpl
def register_models(register):
    register("{name}", Model)
"""
GOOD_MODEL = {
    "rngs": "pass", "vocab": "vocab", "classes": "classes", "init": "pass",
    "embedded": "pass", "pool": "x.mean(axis=1)", "pooled": "pass", "dropped": "x",
    "call": "pass",
}  # fmt: skip

DATASET = """\
import os
import numpy as np
import harness

def load(*, seed: int = 0) -> harness.Dataset:
    draw = np.random.default_rng({seed})
    y = np.arange(60, dtype=np.int32) % 3
    x = draw.integers(1, 9, (60, 6), dtype=np.int32)  # [n, t]
    x[:, 0] = 0
    x[:, 1] = y + 1
    {body}
    spec = harness.DataSpec(kind="tokens", shape=(6,), vocab_size=9, num_classes=3, pad_id=0,
                            fingerprint={fingerprint})
    train, test = {{"x": x[20:], "y": y[20:]}}, {{"x": x[:20], "y": y[:20]}}
    {splits}
    return harness.Dataset(train, test, spec, decode={decode})

@harness.hookimpl
def register_datasets(register):
    register("{name}", load, variants={{"other": {{"seed": 1}}}})
"""
GOOD_DATASET = {
    "seed": "seed", "body": "pass", "fingerprint": "f'made-up-{seed}'", "splits": "pass",
    "decode": "lambda row: ' '.join(map(str, row))",
}  # fmt: skip


@dataclass(frozen=True)
class Faulty:
    """A plugin file with one entry of its name.

    Attributes:
      check: the one that fails; "" for none.
      says: what stands in its words.
      pieces: of the template, in place of the good ones.
    """

    kind: Literal["model", "dataset"]
    name: str
    check: str
    says: str
    pieces: Mapping[str, str] = field(default_factory=dict)

    def source(self) -> str:
        template, good = (
            (MODEL, GOOD_MODEL) if self.kind == "model" else (DATASET, GOOD_DATASET)
        )
        return template.format(**good | dict(self.pieces), name=self.name)

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.name}.py"
        path.write_text(self.source(), encoding="utf-8")
        return path


def _model(name: str, check: str, says: str, **pieces: str) -> Faulty:
    return Faulty("model", name, check, says, pieces)


def _data(name: str, check: str, says: str, **pieces: str) -> Faulty:
    return Faulty("dataset", name, check, says, pieces)


# what masks rightly: the mean over what is no padding
MASKED = (
    "(x * (tokens != pad)[..., None]).sum(axis=1)"
    " / jnp.maximum((tokens != pad).sum(axis=1), 1)[:, None]"
)
PAD = "pad = -1 if self.pad is None else self.pad"
IN_TRAINING = "if not self.drop.deterministic: "

MODELS: tuple[Faulty, ...] = (
    _model("good", "", "", dropped="self.drop(x)"),
    _model("good_masked", "", "", embedded=PAD, pool=MASKED),
    _model("good_zero_head", "", "", classes="classes, kernel_init=nnx.initializers.zeros"),
    _model("good_closed_gate", "", "", pooled="x = x + self.gate * self.inner(x)",
           init="self.inner, self.gate = nnx.Linear(4, 4, rngs=rngs), nnx.Param(jnp.zeros(4))"),
    _model("raises", "constructs", "no luck", init="raise ValueError('no luck')"),
    _model("half_precision", "outputs", "bfloat16", call="out = out.astype(jnp.bfloat16)"),
    _model("probabilities", "outputs", "probabilities", call="out = nnx.softmax(out)"),
    _model("wrong_width", "outputs", "[16, 1]", call="out = out[:, :1]"),
    _model("two_outputs", "outputs", "tuple", call="out = (out, out)"),
    _model("classes_written_down", "foreign_spec", "[16, 3]", classes="3"),
    _model("vocabulary_written_down", "foreign_spec", "not finite", vocab="23"),
    _model("length_written_down", "foreign_spec", "the call raised",
           init="self.place = nnx.Param(jnp.zeros((12, 4)))", embedded="x = x + self.place"),
    _model("numpys_numbers", "same_seed", "two values of embed/embedding",
           init="self.embed.embedding[...] = np.random.normal(size=(vocab, 4))"),
    _model("numpys_numbers_kept", "same_seed", "two values of noise",
           init="self.noise = nnx.Variable(jnp.array(np.random.normal(size=4)))"),
    _model("seed_ignored", "same_seed", "seeds 0 and 1", rngs="rngs = nnx.Rngs(0)"),
    _model("root_of_zero", "finite", "the gradient of embed/embedding",
           pooled="x = x + jnp.sqrt(0 * x)"),
    _model("unused_layer", "gradients_reach", "unused/bias, unused/kernel",
           init="self.unused = nnx.Linear(3, 3, rngs=rngs)"),
    _model("one_position", "overfits", "look for what keeps", pool="x[:, 0]",
           embedded="x = x[:, :1] * 0.001 + self.embed(0 * tokens)"),
    _model("dropout_always", "evaluation_repeats", "answers otherwise",
           dropped="self.drop(x, deterministic=False)"),
    _model("batch_statistics", "rows_apart", "an example alone gets other logits",
           pooled="x = x - x.mean(axis=0)"),
    _model("leaked_padding", "padding_masked", "another vector for the padding token",
           embedded=PAD, pool=MASKED.replace("x * (tokens != pad)[..., None]", "x")),
    _model("empty_text", "padding_masked", "nothing but padding",
           embedded=PAD, pool=MASKED.replace("jnp.maximum(", "(").replace(", 1)", ")")),
    _model("prints", "no_callback", "callback", call="jax.debug.print('{}', out[0, 0])"),
    _model("python_counter", "compiles_once", "another program the second time",
           call=IN_TRAINING + "out = out * (1 + 1e-6 * next(CALLS))"),
    _model("grows", "compiles_once", "does not fit its own program",
           init="self.seen = nnx.Variable(jnp.zeros(1))",
           call=IN_TRAINING + "self.seen.set_value(jnp.zeros(self.seen.shape[0] + 1))"),
)  # fmt: skip

DATASETS: tuple[Faulty, ...] = (
    _data("good_data", "", ""),
    _data("no_dataset", "loads", "returned tuple", splits="return train, test"),
    _data("labels_beyond", "as_spec", "labels from 1 to 3",
          splits="train['y'] = train['y'] + 1"),
    _data("shared", "splits_disjoint", "20 of 20", splits="test = {k: v[:20] for k, v in "
          "train.items()}"),
    # by chance a test row may stand in train too, which is another fault
    _data("unseeded", "deterministic", "two train splits", seed="None",
          splits="alone = [not (row == train['x']).all(axis=1).any() for row in test['x']]; "
          "test = {k: v[alone] for k, v in test.items()}"),
    _data("one_fingerprint", "fingerprint", "variant other differ", fingerprint="'made-up'"),
    _data("no_fingerprint", "fingerprint", "is empty", fingerprint="''"),
    _data("absent_class", "classes", "the test split has no example of 2",
          splits="test['y'] = np.minimum(test['y'], 1)"),
    _data("padding_behind", "lengths", "padding behind a token", body="x[:, 5] = 0"),
    _data("bytes_read", "decodes", "b'", decode="lambda row: row.tobytes()"),
    _data("hash_of_text", "worker", "another process", fingerprint="str(hash(f'x{seed}'))"),
)  # fmt: skip

FAULTY = (*MODELS, *DATASETS)

# each is tried in a process of its own: it takes it down, or leaves threads that failed
APART = (
    _model("dies_in_the_call", "outputs", "the process died", call="os._exit(3)"),
    _model("dies_in_the_constructor", "constructs", "nothing was checked", init="os._exit(3)"),
    _model("cannot_be_kept", "state_round_trip", "uint2",
           init="self.bits = nnx.Variable(jnp.zeros(3, jnp.uint2))"),
    _data("dies_loading", "loads", "the process died", body="os._exit(3)"),
)  # fmt: skip
