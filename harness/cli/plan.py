"""What `harness run --dry-run` and `--explain` say: the plan, and what the store has of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import indent
from typing import Any

from harness.api import Options
from harness.errors import NoStore, counted
from harness.paths import checkpoint_folder
from harness.plan import Run
from harness.resume import State
from harness.suites import on_the_first
from harness.tuned import States, walk
from harness.tuning import TunedCell


def describe(runs: Sequence[Run], url: str, options: Options) -> list[dict[str, Any]]:
    """One record a planned run, in order.

    Args:
      url: the store; one that is not there yet has nothing.
    """
    with _states(url, options) as states:
        found = states(runs)
    return [
        _record(run, state, options, _action(state, options))
        for run, state in zip(runs, found, strict=True)
    ]


def describe_cells(
    cells: Sequence[TunedCell], url: str, options: Options
) -> list[dict[str, Any]]:
    """One record for each trial and run that is known, and one a cell for all behind them."""
    records = []
    with _states(url, options) as states:
        for cell in cells:
            found = walk(cell, states)
            # a cell is done over as one: what has failed may change what is chosen
            left_out = options.rerun == "failed" and not found.failed
            for run, state in found.known:
                stands = options.reuses and state.word == "stored"
                action = "reuse" if stands else "leave out" if left_out else "perform"
                record = _record(run, state, options, action)
                # the label of a run or a trial says what is tuned
                records.append(record | {"recipe": cell.base.recipe.changes or "defaults"})
            if found.later:
                action = "leave out" if left_out else "perform"
                records.append(_later(cell, found.later, states, action))
    return records


@contextmanager
def _states(url: str, options: Options) -> Iterator[States]:
    from harness.resume import Lookup
    from harness.store import open_store

    try:
        store = open_store(url, must_exist=True)
    except NoStore:
        yield lambda runs: [State("missing", reasons=("never run",))] * len(runs)
        return
    with store:
        yield Lookup(store, save=options.save).states


def _later(
    cell: TunedCell, later: Sequence[tuple[int, Run]], states: States, action: str
) -> dict[str, Any]:
    """What nobody can know before the trials in front of it have ended."""
    alike = states([run for _, run in later])
    seconds = [
        None if state.estimate_s is None else count * state.estimate_s
        for (count, _), state in zip(later, alike, strict=True)
    ]
    *trials, (runs, _) = later
    told = [
        f"{counted(count, 'trial')} of {counted(one.recipe.epochs, 'epoch')}"
        for count, one in trials
    ]
    known = [one for one in seconds if one is not None]
    return {
        "state": "open", "action": action,
        "run": f"{cell.base.dataset.label} x {cell.base.model.label}, then "
        + ", ".join([*told, f"{counted(runs, 'run')} of the chosen values"]),
        "recipe": cell.base.recipe.changes or "defaults",
        "why": ["the trials before decide"],
        "estimate_s": sum(known) if len(known) == len(seconds) else None,
        "run_id": None, "run_key": None, "checkpoint": False, "key_parts": {},
        "kind": "later", "count": sum(count for count, _ in later),
    }  # fmt: skip


def _record(run: Run, state: State, options: Options, action: str) -> dict[str, Any]:
    return {
        "state": state.word,
        "action": action,
        "run": run.label,
        "recipe": run.recipe.changes or "defaults",
        "why": list(state.reasons),
        "estimate_s": state.estimate_s,
        "run_id": state.row["run_id"] if state.row else None,
        "run_key": run.run_key,
        "checkpoint": action == "perform" and _goes_on(run, options),
        "key_parts": {
            **run.key_parts,
            "data_fingerprint": state.now.fingerprint if state.now else None,
            "device_kind": state.now.device_kind if state.now else None,
        },
        "kind": run.kind,
        "count": 1,
    }


def _goes_on(run: Run, options: Options) -> bool:
    """Whether a killed run has left a checkpoint that would be taken up."""
    written = checkpoint_folder(run.program_key).glob("*")
    return options.reuses and any(path.name.isdigit() for path in written)


def _action(state: State, options: Options) -> str:
    if not options.reuses:
        return "perform"
    if state.word == "stored":
        return "reuse"
    failed = state.row is not None and state.row["status"] != "ok"
    return "perform" if options.rerun != "failed" or failed else "leave out"


def budgets(cells: Sequence[TunedCell]) -> list[str]:
    """What the cells are given, in one line for all that are given the same."""
    given = Counter(_budget(cell) for cell in cells)
    return [
        f"{f'each of {number} cells' if number > 1 else '1 cell'}: {text}"
        for text, number in given.items()
    ]


def _budget(cell: TunedCell) -> str:
    runs = counted(len(cell.seeds), "run")
    if not cell.rungs:
        return f"not tuned, {runs}"
    trials = counted(sum(rung.trials for rung in cell.rungs), "trial")
    epochs = counted(sum(rung.trials * rung.epochs for rung in cell.rungs), "epoch")
    seen = "" if cell.limit is None else on_the_first(cell.trial_limit or cell.limit)
    return f"{trials}, {epochs} of training{seen}, then {runs}"


def to_text(records: Sequence[dict[str, Any]], *, explain: bool) -> str:
    """A line a run and a sum; with `explain` also each reason, and the key if there is one run.

    What of a key decides stands among the reasons, and whole keys of many runs nobody reads. A
    trial's recipe is that of its cell's runs, but for what its label says.
    """
    lines: list[str] = []
    for record in records:
        why = record["why"]
        short = (
            [f"{why[0]}{f' and {len(why) - 1} more' if len(why) > 1 else ''}"] if why else []
        )
        recipe = [] if record["kind"] == "trial" else [record["recipe"]]
        words = (record["state"], record["action"], record["run"], *recipe)
        from_there = ["goes on at its checkpoint"] if record["checkpoint"] else []
        short = [] if explain else short
        lines.append("  ".join([*words, *short, *from_there, _duration(record)]))
        if explain:
            lines += [f"    {reason}" for reason in why]
    if explain and len(records) == 1:
        key = json.dumps(records[0]["key_parts"], indent=2, sort_keys=True)
        lines.append(indent(f"key {key}", "    "))
    return "\n".join([*lines, _sum(records)])


def _duration(record: dict[str, Any]) -> str:
    seconds = record["estimate_s"]
    return "time unknown" if seconds is None else f"about {clock(seconds)}"


def _sum(records: Sequence[dict[str, Any]]) -> str:
    todo = [r for r in records if r["action"] == "perform"]
    known = [r["estimate_s"] for r in todo if r["estimate_s"] is not None]
    total, number = _number(records), _number(todo)
    unknown = number - _number([r for r in todo if r["estimate_s"] is not None])
    tuned = any(r["kind"] != "run" for r in records)
    counts = f"{total} trials and runs" if tuned else counted(total, "run")
    text = f"{counts}, {number} to perform"
    if known:
        text += f", about {clock(sum(known))}"
    if unknown:
        text += f"; of {unknown} the store does not tell the time"
    return text


def _number(records: Sequence[dict[str, Any]]) -> int:
    return sum(record["count"] for record in records)


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
