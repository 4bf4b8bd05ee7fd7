"""Keras 3 on JAX: `compile` and `fit`, with one step an execution or several."""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # read when keras is imported

import keras
from keras import layers

from benchmarks.peers import sizes
from benchmarks.peers.job import Answer, Job, block_ms, read_data, run_epochs


class AddPositions(layers.Layer):
    """A learned vector for each position, added."""

    def build(self, input_shape: Any) -> None:
        shape = (sizes.LENGTH, sizes.WIDTH)
        self.position = self.add_weight(shape=shape, initializer="uniform", name="position")

    def call(self, x: Any) -> Any:
        return x + self.position  # [b, t, d] + [t, d]


def _encoder(x: Any) -> Any:
    """Post-norm encoder block, [b, t, d] to [b, t, d]."""
    attention = layers.MultiHeadAttention(
        num_heads=sizes.HEADS, key_dim=sizes.WIDTH // sizes.HEADS
    )
    mixed = layers.Dropout(sizes.DROPOUT)(attention(x, x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + mixed)
    hidden = layers.Dense(sizes.WIDTH)(layers.Dense(sizes.WIDTH, activation="relu")(x))
    return layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(sizes.DROPOUT)(hidden))


def _classifier(*, transformer: bool) -> Any:
    tokens = keras.Input((sizes.LENGTH,), dtype="int32")
    x = layers.Embedding(sizes.VOCAB, sizes.WIDTH)(tokens)
    if transformer:
        x = _encoder(AddPositions()(x))
    x = layers.Dropout(sizes.DROPOUT)(layers.GlobalAveragePooling1D()(x))
    x = layers.Dropout(sizes.DROPOUT)(layers.Dense(sizes.UNITS, activation="relu")(x))
    return keras.Model(tokens, layers.Dense(2)(x))


def run(job: Job) -> Answer:
    keras.utils.set_random_seed(0)
    data = read_data(job.data)
    model = _classifier(transformer=job.model == "transformer")
    model.compile(
        optimizer=keras.optimizers.Adam(sizes.LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=job.options["steps_per_execution"],
    )

    def fit(x: Any, y: Any) -> None:
        model.fit(x, y, batch_size=sizes.BATCH, epochs=1, verbose=0)

    def evaluate() -> float:
        said = model.evaluate(data.x_test, data.y_test, batch_size=sizes.EVAL_BATCH, verbose=0)
        return float(said[1])

    measured = run_epochs(job.epochs, lambda: fit(data.x_train, data.y_train), evaluate)
    # two executions of 16 or 32 of one, and no ragged one in between
    steps = 2 * sizes.BLOCK_STEPS + 2
    x, y = data.x_train[: steps * sizes.BATCH], data.y_train[: steps * sizes.BATCH]
    return Answer(
        param_count=model.count_params(),
        **measured,
        step_ms=block_ms(lambda: fit(x, y), blocks=job.blocks, steps=len(x) // sizes.BATCH),
        versions={"keras": keras.__version__},
        extra={},
    )
