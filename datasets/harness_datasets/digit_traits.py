"""What is true of a handwritten digit: several labels at once, without a download.

The images of `digits`, each with four labels that its number has or lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

import harness
from harness.hookspecs import Register
from harness.specs import Split
from harness_datasets.digits import digits

# which numbers have the trait
TRAITS = {
    "even": (0, 2, 4, 6, 8),
    "prime": (2, 3, 5, 7),
    "above_four": (5, 6, 7, 8, 9),
    "closed_loop": (0, 6, 8, 9),
}


def digit_traits() -> harness.Dataset:
    """The images of `digits`; is the number even, prime, above four, drawn with a loop?

    Both splits are `{"x": int32 [n, 64], "y": int32 [n, 4]}` of zeros and ones.
    """
    data = digits()
    has = np.zeros((10, len(TRAITS)), np.int32)  # [digit, trait]
    for column, numbers in enumerate(TRAITS.values()):
        has[list(numbers), column] = 1

    def labelled(split: Split) -> Split:
        assert isinstance(split, Mapping)
        return {"x": split["x"], "y": has[split["y"]]}

    spec = replace(
        data.spec, task="multi_label", num_classes=len(TRAITS), class_names=tuple(TRAITS),
        fingerprint=f"traits-1-{data.spec.fingerprint}",
    )  # fmt: skip
    return harness.Dataset(
        train=labelled(data.train),
        test=labelled(data.test),
        spec=spec,
        decode=data.decode,
        encode=data.encode,
    )


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "digit_traits",
        digit_traits,
        description="Handwritten digits, four labels each: multi-label without a download",
    )
