"""`harness gate`, with a head that does a known share of its work again.

    python -m benchmarks.gate_more 5 --base HEAD -d digits -m transformer

The head's side is asked for so many per cent more epochs than count, in blocks of a hundred
epochs or a multiple of it, so that the share is exact. All else is the command itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cli import main
from harness.gate import rounds
from harness.gate.blocks import Pair
from harness.gate.pairs import Pairing
from harness.gate.side import Side


def slowed(more: int) -> type[Pairing]:
    """Pairs whose cells all do so much more on the head; the controls stay as they are."""

    class Slowed(Pairing):
        def pair(self, cells: Sequence[str]) -> list[Pair]:
            self.multiple = 100
            self.extra = self.extra or dict.fromkeys(cells, more)
            return super().pair(cells)

    return Slowed


def one_step(side: Side, question: Mapping[str, Any]) -> list[int]:
    """Epochs as short as they can be: a hundred of them are to fit a block."""
    return [1] * len(question["cells"])


if __name__ == "__main__":
    rounds.Pairing, rounds.scout = slowed(int(sys.argv[1])), one_step
    sys.argv[1:] = ["gate", *sys.argv[2:]]
    main()
