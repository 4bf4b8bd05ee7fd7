"""How often the gate errs on this machine, and what it sees.

    python -m benchmarks.gate_study pairs --way one --count 30 --records one.jsonl
    python -m benchmarks.gate_study pairs --way both --count 16 --records both.jsonl
    python -m benchmarks.gate_study gates comment --count 4 --records gates.jsonl
    python -m benchmarks.gate_study programs --records programs.jsonl
    python -m benchmarks.gate_study show one.jsonl both.jsonl gates.jsonl programs.jsonl

A round of `pairs` is one fresh pair of processes that goes through a small cell beside itself
and with 3, 5 and 10 % more work on the head's side, with both sides at once, as the gate
does, or one at a time (`harness gate --in-turn`). `gates` runs whole gates on a copy of the
harness with one known change, `programs` gates without a clock on all built-in models, each
with one regression of the program. `show` prints the spread of pair values, how often intervals
hold the truth, how gates end that are made of these pairs, drawn again and again, and how
the whole ones did.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.stats import binomtest

from benchmarks.gate_programs import SIGNALS, run_programs
from benchmarks.gate_programs import table as programs_table
from benchmarks.gate_sides import KINDS, run_gate
from harness import machine
from harness.gate.pairs import Pairing
from harness.gate.side import Side
from harness.gate.statistics import LOOKS, PROFILES, Decision, decide, estimate
from harness.gate.ways import InTurn, fitting

# per cent of extra work, a cell each; epochs are short, so that a share of them is whole
MORE = (0, 3, 5, 10)
DATASET, MODEL, BATCH = "digits", "transformer", 32
RESAMPLED = 2000
WAYS = {"one": InTurn(), "both": fitting({"cpu"})}
TITLES = {"one": "One side at a time", "both": "Both at once, each on a core of its own"}


def question() -> dict[str, Any]:
    cell = {"dataset": DATASET, "model": MODEL, "steps": 1}
    return {"cells": [cell] * len(MORE), "plugins": [], "recipe": {"batch_size": BATCH}}


def one_round(seed: int, way: str) -> dict[str, Any]:
    """A fresh pair: a value for each amount of extra work, and the share of dropped blocks."""
    here = Side("base", "here", sys.executable, ())
    asked = question()
    names = [f"+{more} %" for more in MORE]
    pairing = Pairing(
        here, replace(here, name="head"), {"base": asked, "head": asked}, random.Random(seed),
        WAYS[way], extra=dict(zip(names, MORE, strict=True)), multiple=100,
    )  # fmt: skip
    pairs = pairing.pair(names)
    return {
        "way": way,
        "seed": seed,
        "values": [pair.value() for pair in pairs],
        "dropped": [pair.dropped() for pair in pairs],
        "place": place(),
    }


def place() -> dict[str, Any]:
    return {**machine.place(), "device_kind": "cpu", "cores": os.cpu_count()}


def ends(values: np.ndarray, *, profile: str, draw: np.random.Generator) -> Counter[Decision]:
    """How gates end that are made of pairs drawn from these, each with up to three looks."""
    found: Counter[Decision] = Counter()
    for run in range(RESAMPLED):
        drawn, end = draw.choice(values, LOOKS[-1].pairs)[:, None], Decision.GO_ON
        for look in LOOKS:
            (end,) = decide(drawn[: look.pairs], profile=PROFILES[profile], seed=run)
            if end is not Decision.GO_ON:
                break
        found[end] += 1
    return found


def holds(values: np.ndarray, truth: float, *, draw: np.random.Generator) -> float:
    """How often the interval of sixteen pairs, drawn from these, holds a ratio."""
    found = 0
    for _ in range(RESAMPLED):
        about = estimate(draw.choice(values, 16), margin=0.0, alpha=0.01)
        found += about.low <= truth <= about.high
    return found / RESAMPLED


def pairs_table(records: list[dict[str, Any]]) -> str:
    draw = np.random.default_rng(0)
    lines = [
        "| extra work | pairs | spread of a pair | ratio | 95 % interval "
        "| intervals of 16 hold it | SLOWER | PASS | INCONCLUSIVE |\n"
        "|---:|---:|---:|---:|---|---:|---:|---:|---:|"
    ]
    for i, more in enumerate(MORE):
        values = np.array([r["values"][i] for r in records if r["values"][i] is not None])
        about = estimate(values, margin=0.01, alpha=0.006)
        shares = ends(values, profile="default", draw=draw)
        told = [f"{shares[d] / RESAMPLED:.1%}"
                for d in (Decision.SLOWER, Decision.PASS, Decision.INCONCLUSIVE)]  # fmt: skip
        held = holds(values, 1 + more / 100, draw=draw)
        lines.append(
            f"| {more} % | {len(values)} | {100 * values.std(ddof=1):.1f} % "
            f"| {about.ratio:.3f} | {about.low:.3f} to {about.high:.3f} "
            f"| {held:.1%} | {' | '.join(told)} |"
        )
    dropped = np.mean([r["dropped"] for r in records])
    lines.append(
        f"\n{len(records)} fresh pairs; {dropped:.1%} of the quadruples dropped. The last four "
        f"columns are of {RESAMPLED:,} gates whose pairs were drawn from these with "
        "replacement, profile default: they cannot see what a whole run shares.\n"
    )
    return "\n".join(lines)


def gates_table(records: list[dict[str, Any]]) -> str:
    lines = ["| change | should end | gates | ended | ratio | pairs | minutes |\n"
             "|---|---|---:|---|---|---|---|"]  # fmt: skip
    for kind in dict.fromkeys(r["kind"] for r in records):
        own = [r for r in records if r["kind"] == kind]
        ended = Counter(r["verdict"].upper() for r in own)
        words = ", ".join(f"{name} {count}" for name, count in ended.items())
        lines.append(
            f"| {KINDS[kind].words} | {' or '.join(KINDS[kind].wanted).upper()} | {len(own)} "
            f"| {words} | {_range(own, 'ratio', '.3f')} | {_range(own, 'pairs', '.0f')} "
            f"| {_range(own, 'minutes', '.1f')} |"
        )
    placebos = [r for r in records if KINDS[r["kind"]].placebo and r["pairs"]]
    if placebos:
        wrong = sum(r["verdict"] in ("slower", "changed") for r in placebos)
        bound = binomtest(wrong, len(placebos), alternative="less").proportion_ci(0.95)
        lines.append(
            f"\nFalse failures of placebo changes that were timed: {wrong} of {len(placebos)}, "
            f"at 95 % confidence under {bound.high:.0%} (Clopper and Pearson).\n"
        )
    return "\n".join(lines) + "\n"


def _range(records: list[dict[str, Any]], name: str, form: str) -> str:
    found = [r[name] for r in records if r[name] is not None]
    if not found:
        return "-"
    low, high = f"{min(found):{form}}", f"{max(found):{form}}"
    return low if low == high else f"{low} to {high}"


def page(records: list[dict[str, Any]]) -> str:
    parts = []
    for way, title in TITLES.items():
        own = [r for r in records if r.get("way") == way]
        if own:
            parts.append(f"## {title}\n\n{pairs_table(own)}")
    gates = [r for r in records if "kind" in r]
    if gates:
        parts.append(f"## Whole gates\n\n{gates_table(gates)}")
    programs = [r for r in records if "program" in r]
    if programs:
        parts.append(f"## Without a clock\n\n{programs_table(programs)}")
    told = [f"{machine.summary(r['place'])}, {r['place']['cores']} cores" for r in records]
    return "\n".join([*parts, "\n\n".join(dict.fromkeys(told))])


@click.group()
def main() -> None:
    """Measures pairs and gates, and shows how often they are right."""


records_option = click.option(
    "--records", required=True, type=click.Path(path_type=Path, dir_okay=False),
    help="A file of records, which are added to it.",
)  # fmt: skip


@main.command()
@click.option("--way", type=click.Choice(tuple(WAYS)), default="one", show_default=True)
@click.option("--count", default=30, show_default=True, type=click.IntRange(1))
@records_option
def pairs(way: str, count: int, records: Path) -> None:
    """Measures COUNT fresh pairs."""
    known = records.read_text().splitlines() if records.exists() else []
    for seed in range(len(known), len(known) + count):
        with records.open("a") as file:
            file.write(json.dumps(one_round(seed, way)) + "\n")


@main.command()
@click.argument("kind", type=click.Choice(tuple(KINDS)))
@click.option("--count", default=1, show_default=True, type=click.IntRange(1))
@records_option
def gates(kind: str, count: int, records: Path) -> None:
    """Runs COUNT whole gates on a copy of the harness with a known change."""
    known = records.read_text().splitlines() if records.exists() else []
    for seed in range(len(known), len(known) + count):
        with tempfile.TemporaryDirectory() as folder:
            told = run_gate(KINDS[kind], Path(folder), seed=seed)
        record = {"kind": kind, "seed": seed, **told, "place": place()}
        with records.open("a") as file:
            file.write(json.dumps(record) + "\n")


@main.command()
@records_option
def programs(records: Path) -> None:
    """Runs a gate without a clock for each regression of a program."""
    for name in SIGNALS:
        with tempfile.TemporaryDirectory() as folder:
            record = {**run_programs(name, Path(folder)), "place": place()}
        with records.open("a") as file:
            file.write(json.dumps(record) + "\n")


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def show(files: tuple[Path, ...]) -> None:
    """Prints the tables of files of records."""
    lines = [line for file in files for line in file.read_text().splitlines()]
    click.echo(page([json.loads(line) for line in lines]))


if __name__ == "__main__":
    main()
