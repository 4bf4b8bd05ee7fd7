"""What the devices of a run send each other in a step, for several built-in models.

    python -m benchmarks.communication [-o FILE]

Compiles the training step of each model for 1, 2, 4 and 8 simulated devices and reads the
volume from the program: nothing is trained, and no clock decides anything. Beside it stands
what data parallelism needs at least, the gradient by a ring all-reduce: where the ratio is
more than one, the model makes devices send more.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COUNTS = (1, 2, 4, 8)
BATCH = 128
DATASET = "synthetic"
MODELS = ("mean_pool", "transformer", "transformer[dropout=0.0]", "text_cnn", "lru", "gru",
          "gru[dropout=0.0]", "lstm", "fnet", "mlp_mixer")  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One model on so many devices; `sent` is bytes a step, of each device."""

    model: str
    parameters: int
    devices: int
    sent: float
    operations: int

    @property
    def ratio(self) -> float:
        """To the gradient alone, float32."""
        return self.sent / (2 * (self.devices - 1) / self.devices * 4 * self.parameters)


def measure(model: str, dataset: str = DATASET) -> Iterator[Line]:
    """The lines of one model, one for each number of devices."""
    import harness
    from harness.assemble import prepare
    from harness.collectives import step_volume
    from harness.program import count_parameters
    from harness.recipe import Recipe

    data = harness.load_dataset(dataset)
    for devices in COUNTS:
        recipe = Recipe(batch_size=BATCH, devices=devices)
        built = harness.build_model(model, data=data.spec, seed=0)
        prepared = prepare(built, data, recipe, seed=0, emit=lambda event: None)
        text = prepared.trainer.compiled.call.as_text() or ""
        volume = step_volume(text, devices=devices)
        size = count_parameters(prepared.state.params)
        yield Line(model, size, devices, volume.sent if devices > 1 else 0.0, volume.operations)


def page(lines: list[Line]) -> str:
    """The table of all lines with its command, machine and versions."""
    from harness import machine

    versions = machine.versions()
    rows = [
        f"| {line.model} | {line.parameters:,} | {line.devices} | {line.sent:,.0f} | "
        f"{'' if line.devices == 1 else f'{line.ratio:.2f}'} | {line.operations} |"
        for line in lines
    ]
    return "\n".join([
        "# What devices send each other", "",
        "<!-- not run: a record -->", "",
        f"`python -m benchmarks.communication`, {machine.utc()[:10]}, {machine.cpu_model()}, "
        f"simulated devices, jax {versions['jax_version']}, flax {versions['flax_version']}.",
        f"Data set `{DATASET}`, a batch of {BATCH}. *Sent* is `comm_bytes_per_step`, bytes that"
        "  each device sends in a step; *ratio* is to the gradient alone, 2(n - 1)/n "
        "times 4 bytes a parameter; *operations* are collective ones, each as often as a step "
        "goes through it. Read from compiled programs: nothing was timed.", "",
        "| model | parameters | devices | sent | ratio | operations |",
        "|---|---|---|---|---|---|", *rows, "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", default="benchmarks/results/communication.md")
    output = Path(parser.parse_args().output)
    # before JAX is imported
    os.environ |= {"JAX_NUM_CPU_DEVICES": str(max(COUNTS)), "JAX_PLATFORMS": "cpu"}
    output.write_text(page([line for model in MODELS for line in measure(model)]))


if __name__ == "__main__":
    main()
