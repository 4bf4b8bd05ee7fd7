"""A plugin for `benchmarks.scale_plan`: a model that fits no data, whose runs end at once."""

from __future__ import annotations

from flax import nnx

import harness


class Refuses(nnx.Module):
    """It is never made."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs) -> None:
        raise harness.Unsupported("it fits no data")


@harness.hookimpl
def register_models(register: harness.Register) -> None:
    register("refuses", Refuses)
