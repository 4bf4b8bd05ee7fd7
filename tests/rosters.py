"""Rosters of workers that there are none of."""

from __future__ import annotations

from harness.cluster.roster import Roster

HERE = {"host": "tcp", "nthreads": 2, "resources": {}}


def roster(**more) -> tuple[Roster, list[str]]:
    notes: list[str] = []
    defaults = {
        "greet": lambda new: dict.fromkeys(new, ""),
        "note": notes.append,
        "resources": {},
    }
    return Roster(**{**defaults, **more}), notes
