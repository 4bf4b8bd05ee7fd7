"""The worker of a timed pair: a file, not a module, like `probe.py`.

    python timed.py < commands > answers

It trains one cell at a time with the side's own engine and stops in front of every block
until the driver lets it go on. A block is a number of whole epochs with their evaluations,
timed from outside the engine, so that whatever the engine does around its steps counts.
Asked to, it trains on beyond a block, untimed, until the next order is there. The first
line is the question; each further line asks for one thing and is answered by a line of
JSON. Two calibration kernels, the same lines on both sides, tell whether the machine
treats the two processes alike.
"""

from __future__ import annotations

import json
import os
import resource
import runpy
import select
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TextIO

# more epochs than any driver asks for
ENDLESS = 1_000_000
# a product that stays in a core's cache, and a sweep that does not
SMALL, LARGE = 128, 1 << 22
REPEATS = 6


class Stop(BaseException):
    """The driver wants no more of this cell."""


class Turns:
    """Talks with the driver from inside the engine's events."""

    def __init__(
        self, orders: TextIO, answers: TextIO, sources: Callable[[], dict[str, str]]
    ) -> None:
        from harness.events import Phase

        self.orders, self.answers, self.sources = orders, answers, sources
        self.phase, self.steps = Phase, 0
        self.kernels = kernels()
        self.left = self.asked = 0
        self.beyond = False
        self.began = 0.0
        self.usage = (0, 0.0)

    def hear(self, event: Any) -> None:
        """The engine's events: an epoch begins where it says that it trains."""
        if not isinstance(event, self.phase) or event.name != "train":
            return
        if self.left > 1:
            self.left -= 1
            return
        if self.left == 1:
            self.left = 0
            self.say(self.measured())
        if self.beyond and not select.select([self.orders], [], [], 0)[0]:
            return  # the other side is not done: it shall not have the machine for itself
        self.left = self.asked = self.next_block()
        self.usage = usage()
        self.began = time.perf_counter()

    def measured(self) -> dict[str, float]:
        """The block that has just ended."""
        seconds = time.perf_counter() - self.began
        switches, cpu_s = usage()
        return {
            "s": seconds,
            "epochs": self.asked,
            "steps": self.steps * self.asked,
            "switches": switches - self.usage[0],
            "cpu_s": cpu_s - self.usage[1],
        }

    def next_block(self) -> int:
        """Serves the driver until it asks for a block; how many epochs that has."""
        while True:
            line = self.orders.readline()
            order = json.loads(line) if line else {"do": "exit"}
            self.beyond = order.get("beyond", False)
            if order["do"] == "block":
                return int(order["epochs"])
            if order["do"] == "calibrate":
                self.say({name: kernel() for name, kernel in self.kernels.items()})
            elif order["do"] == "sources":
                self.say(self.sources())
            elif order["do"] == "rest":
                self.say({"cpu_s": usage()[1]})
            else:
                raise Stop(order["do"])

    def say(self, values: dict[str, Any]) -> None:
        print(json.dumps(values), file=self.answers, flush=True)


def usage() -> tuple[int, float]:
    """Involuntary context switches and seconds of CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_nivcsw, used.ru_utime + used.ru_stime


def kernels() -> dict[str, Callable[[], float]]:
    """Calibration kernels by name; each returns the seconds of its fastest of a few runs.

    Neither leaves threads behind that go on spinning in the other side's block, as those
    of a BLAS would.
    """
    import numpy as np

    small = np.full((SMALL, SMALL), 1 / SMALL, np.float32)
    product, large = np.empty_like(small), np.zeros(LARGE, np.float32)

    def compute() -> None:
        np.einsum("ij,jk->ik", small, small, out=product, optimize=False)

    def memory() -> None:
        np.add(large, 1, out=large)

    return {"compute": lambda: _fastest(compute), "memory": lambda: _fastest(memory)}


def _fastest(run: Callable[[], None]) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def train(
    cell: dict[str, Any], question: dict[str, Any], turns: Turns, parts_of: Callable[..., Any]
) -> None:
    """Trains one cell, block by block, until the driver has enough of it."""
    import harness
    from harness import assemble, engine
    from harness.recipe import Recipe

    plugins = question["plugins"]
    dataset = harness.load_dataset(cell["dataset"], plugins=plugins)
    model = harness.build_model(cell["model"], data=dataset.spec, seed=0, plugins=plugins)
    # short epochs, so that a block has many and a share of them is a whole number
    told = Recipe(**question["recipe"])
    limit = min(cell["steps"] * told.batch_size, told.limit or sys.maxsize)
    recipe = replace(told, limit=limit, epochs=ENDLESS)
    # the data may have fewer
    parts, task = parts_of(dataset.spec, plugins)
    splits = assemble.make_splits(dataset, recipe, **task)
    turns.steps = len(splits.train) // recipe.batch_size
    engine.fit(model, dataset, recipe, seed=0, emit=turns.hear, **parts)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a plugin prints must not stand between the answers
    orders = sys.stdin
    question = json.loads(orders.readline())
    # the probe's own lines: what was compiled and what is timed are compared by them
    probe = runpy.run_path(question["probe"])
    probe["stay_inside"](question)
    question["plugins"] = probe["present"](question)
    turns = Turns(orders, answers, lambda: probe["sources"](question))
    for cell in question["cells"]:
        turns.left, turns.beyond = 0, False
        try:
            train(cell, question, turns, probe["parts_of"])
        except Stop as stop:
            if str(stop) == "exit":
                return
        except Exception as error:
            turns.say({"error": probe["said"](error)})
            return


if __name__ == "__main__":
    main()
