"""Plans of small runs, and what performing them leaves."""

from __future__ import annotations

from pathlib import Path

from harness import machine, plan, runner, suites
from harness.registry import Registry
from harness.rows import Result, Row

PLUGIN = Path(__file__).parent / "plugins_for_tests.py"


def runs_of(known: Registry, *models: str, seeds: int = 1) -> tuple[plan.Run, ...]:
    suite = suites.Suite(
        datasets=("digits",), models=models, seeds=tuple(range(seeds)),
        recipe={"epochs": 1, "limit": 200, "batch_size": 64},
    )  # fmt: skip
    return tuple(plan.expand(suite, known, key_parts=machine.key_parts()))


def perform(runs, execute, *, stored=None, listener=None) -> tuple[list[Row], list[Result]]:
    saved: list[Result] = []
    rows = runner.run_plan(
        runner.Plan(runs, stored or {}),
        performer=runner.Performer(name="process", execute=execute),
        save=saved.append,
        listener=listener or runner.Silent(),
    )
    return rows, saved
