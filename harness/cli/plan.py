"""What `harness run --dry-run` and `--explain` say: the plan, and what the store has of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.api import Options
from harness.errors import NoStore, counted
from harness.paths import checkpoint_folder
from harness.plan import Run
from harness.resume import State, states


def describe(runs: Sequence[Run], url: str, options: Options) -> list[dict[str, Any]]:
    """One record a planned run, in order.

    Args:
      url: the store; one that is not there yet has nothing.
    """
    found = _states(runs, url, save=options.save)
    return [_record(run, state, options) for run, state in zip(runs, found, strict=True)]


def _states(runs: Sequence[Run], url: str, *, save: bool) -> list[State]:
    from harness.store import open_store

    try:
        with open_store(url, must_exist=True) as store:
            return states(runs, store, save=save)
    except NoStore:
        return [State("missing", reasons=("never run",))] * len(runs)


def _record(run: Run, state: State, options: Options) -> dict[str, Any]:
    return {
        "state": state.word,
        "action": _action(state, options),
        "run": run.label,
        "recipe": run.recipe.changes or "defaults",
        "why": list(state.reasons),
        "estimate_s": state.estimate_s,
        "run_id": state.row["run_id"] if state.row else None,
        "run_key": run.run_key,
        "checkpoint": _goes_on(run, state, options),
        "key_parts": {
            **run.key_parts,
            "data_fingerprint": state.now.fingerprint if state.now else None,
            "device_kind": state.now.device_kind if state.now else None,
        },
    }


def _goes_on(run: Run, state: State, options: Options) -> bool:
    """Whether a killed run has left a checkpoint that would be taken up."""
    written = checkpoint_folder(run.run_key).glob("*")
    performed = _action(state, options) == "perform"
    return options.reuses and performed and any(path.name.isdigit() for path in written)


def _action(state: State, options: Options) -> str:
    if not options.reuses:
        return "perform"
    if state.word == "stored":
        return "reuse"
    failed = state.row is not None and state.row["status"] != "ok"
    return "perform" if options.rerun != "failed" or failed else "leave out"


def to_text(records: Sequence[dict[str, Any]], *, explain: bool) -> str:
    """A line a run and a sum; with `explain` also each reason and the parts of the key."""
    lines: list[str] = []
    for record in records:
        why = record["why"]
        short = (
            [f"{why[0]}{f' and {len(why) - 1} more' if len(why) > 1 else ''}"] if why else []
        )
        words = (record["state"], record["action"], record["run"], record["recipe"])
        from_there = ["goes on at its checkpoint"] if record["checkpoint"] else []
        short = [] if explain else short
        lines.append("  ".join([*words, *short, *from_there, _duration(record)]))
        if explain:
            lines += [f"    {reason}" for reason in why]
            lines.append(f"    key {json.dumps(record['key_parts'], sort_keys=True)}")
    return "\n".join([*lines, _sum(records)])


def _duration(record: dict[str, Any]) -> str:
    seconds = record["estimate_s"]
    return "time unknown" if seconds is None else f"about {clock(seconds)}"


def _sum(records: Sequence[dict[str, Any]]) -> str:
    todo = [r for r in records if r["action"] == "perform"]
    known = [r["estimate_s"] for r in todo if r["estimate_s"] is not None]
    text = f"{counted(len(records), 'run')}, {len(todo)} to perform"
    if known:
        text += f", about {clock(sum(known))}"
    if len(known) < len(todo):
        text += f"; of {len(todo) - len(known)} the store does not tell the time"
    return text


def clock(seconds: float) -> str:
    """Seconds as a person says them.

    >>> [clock(s) for s in (4.2, 75, 7300)]
    ['4 s', '1 min 15 s', '2 h 1 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
