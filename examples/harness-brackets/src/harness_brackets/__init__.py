"""A plugin of two entries: the data set `brackets` and the model `brackets_gru`."""

from __future__ import annotations

import harness
from harness_brackets.data import brackets
from harness_brackets.model import GRU


@harness.hookimpl
def register_datasets(register: harness.Register) -> None:
    register("brackets", brackets, variants={"long": {"max_length": 64}})


@harness.hookimpl
def register_models(register: harness.Register) -> None:
    register(
        "brackets_gru",
        GRU,
        variants={"narrow": {"width": 8}},
        paper="Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder",
    )
