"""The arms: which libraries train the model, in which manner."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any

MODELS = ("transformer", "mean_pool")
# the first epoch compiles; the others are measured
EPOCHS = {"transformer": 2, "mean_pool": 3}
PARAM_COUNTS = {"transformer": 653_566, "mean_pool": 640_702}


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
      name: as in the table.
      module: the file of this package that does it, with a function `run(job)`.
      needs: packages, by import name, without which it is reported as missing.
      options: what the module is told.
      huge_pages: whether its process is started as the harness starts a worker. The peers
        run as their users start them, and one arm of each library with huge pages too.
    """

    name: str
    module: str
    needs: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    huge_pages: bool = False

    def missing(self) -> list[str]:
        """What it needs and is not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


ARMS: tuple[Arm, ...] = (
    Arm("harness", "harness_arm", huge_pages=True),
    Arm("tutorial loop, 0 workers", "tutorial_arm", options={"workers": 0}),
    Arm("tutorial loop, 4 workers", "tutorial_arm", options={"workers": 4}),
    Arm("PyTorch eager", "torch_arm", ("torch",), {"compile": False}),
    Arm("PyTorch eager, huge pages", "torch_arm", ("torch",), {"compile": False}, True),
    Arm("PyTorch compile", "torch_arm", ("torch",), {"compile": True}),
    Arm("Keras 3 on JAX, 1 step", "keras_arm", ("keras",), {"steps_per_execution": 1}),
    Arm("Keras 3 on JAX, 16 steps", "keras_arm", ("keras",), {"steps_per_execution": 16}),
    Arm("Keras 3 on JAX, 16 steps, huge pages", "keras_arm", ("keras",),
        {"steps_per_execution": 16}, True),
)  # fmt: skip
BY_NAME = {arm.name: arm for arm in ARMS}
