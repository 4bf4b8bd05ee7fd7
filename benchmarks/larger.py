"""A transformer larger than the tutorial's: overhead, memory, accumulation, precision.

    python -m benchmarks.larger

Four blocks, width 256, 8 heads, 512 tokens, 8 examples a step, random tokens. The engine's
epochs are compared with a bare compiled scan of as many steps run between them; resident
memory is read after every epoch; the same training is then run with a batch in 4 parts and
in bfloat16.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

import harness
from benchmarks.peers.harness_arm import BareScan, Clock
from benchmarks.peers.job import Data
from harness import engine, machine
from harness.allocator import worker_environment
from harness.events import EpochEnd, Event
from harness.recipe import Recipe

MODEL = "transformer[num_blocks=4,embed_dim=256,num_heads=8,ff_dim=1024]"
SPEC = harness.DataSpec(kind="tokens", shape=(512,), vocab_size=20_000, num_classes=2, pad_id=0)
RECIPE = Recipe(batch_size=8, eval_batch_size=8, epochs=6)
VARIANTS = {
    "float32": RECIPE,
    "float32, batch in 4 parts": replace(RECIPE, accumulate=4),
    "bfloat16": replace(RECIPE, precision="bfloat16"),
}


def random_data() -> Data:
    """64 training examples, 8 test examples."""
    random = np.random.RandomState(0)
    x = random.randint(1, 20_000, (72, 512)).astype(np.int32)
    y = random.randint(0, 2, 72).astype(np.int32)
    return Data(x[:64], y[:64], x[64:], y[64:])


class Memory(Clock):
    """A clock that also reads the process's resident memory when an epoch ends."""

    def __init__(self, scan: BareScan) -> None:
        super().__init__(scan)
        self.rss_mb: list[float] = []

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, EpochEnd):
            # temporary buffers are given back a moment after their program has ended
            time.sleep(0.2)
            with open("/proc/self/statm") as file:
                pages = int(file.read().split()[1])
            self.rss_mb.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


def measure(name: str) -> dict[str, Any]:
    """One variant, in this process."""
    data, recipe = random_data(), VARIANTS[name]
    dataset = harness.Dataset(
        {"x": data.x_train, "y": data.y_train}, {"x": data.x_test, "y": data.y_test}, SPEC
    )
    clock = Memory(BareScan(MODEL, SPEC, data, recipe))
    engine.fit(harness.build_model(MODEL, data=SPEC, seed=0), dataset, recipe, seed=0,
               emit=clock)  # fmt: skip
    pairs = list(zip(clock.train_s, clock.scan_s, strict=True))[1:]
    return {
        "overhead": [train / scan for train, scan in pairs],
        "rss_mb": clock.rss_mb,
        **clock.measured,
    }


def main() -> None:
    if sys.argv[1:] and sys.argv[1] not in VARIANTS:
        sys.exit(f"{__doc__}\nIt takes no arguments.")
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    print("| | step ms | temporary MB | resident MB after epochs 2 to 6 "
          "| epoch over its bare scan | host overhead % |")  # fmt: skip
    print("|---|---:|---:|---|---:|---:|")
    for name in VARIANTS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.larger", name],
            check=True, capture_output=True, text=True, env=worker_environment(os.environ),
        )  # fmt: skip
        said = json.loads(done.stdout.splitlines()[-1])
        ratios = said["overhead"]
        print(f"| {name} | {said['step_ms_p50']:.0f} | {said['temp_bytes'] / 1e6:.0f} "
              f"| {' '.join(f'{mb:.0f}' for mb in said['rss_mb'][1:])} "
              f"| {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) "
              f"| {said['host_overhead_pct']:.3f} |")  # fmt: skip
    print(f"\n{MODEL}, {RECIPE.batch_size} examples of {SPEC.shape[0]} tokens a step")
    jax_version = machine.versions()["jax_version"]
    print(f"{machine.cpu_model()}, {os.cpu_count()} cores, jax {jax_version}")


if __name__ == "__main__":
    main()
