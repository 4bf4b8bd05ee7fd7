"""The lines below a table: what its numbers are, and where they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from harness.recipe import Recipe
from harness.table.counted import counted, unrepeated
from harness.table.marks import explained, spreads_shown
from harness.table.tuned import trials_saw, tuning_told

# what a reader has to know of a row's place, and how it is called
PLACE = {
    "cpu_model": "processor",
    "device_kind": "device",
    "jax_version": "jax",
    "flax_version": "flax",
    "harness_version": "harness",
    "allocator": "allocator",
}

# so many different texts on what was compiled again are printed
SHOWN = 2


def caption(
    frame: pd.DataFrame,
    lines: pd.DataFrame | None = None,
    *,
    by: Sequence[str] | None = None,
) -> str:
    """What stands below the lines of a table, "" where nothing was measured.

    It is of the rows that the lines hold, and of no others in the frame. Where these come from
    different machines or versions, all of them are named.

    Args:
      frame: the rows.
      lines: what `tabulate` made of them; with intervals and ranks these are explained too.
      by: as `tabulate` had it.
    """
    runs = unrepeated(frame) if by else counted(frame)
    ok = runs.loc[runs["status"] == "ok"]
    if ok.empty:
        return ""
    count = f"{len(ok)} run{'' if len(ok) == 1 else 's'}"
    first = (count, place_of(ok), _days(ok["started_at"]))
    told = ["; ".join(part for part in first if part)]
    told += [f"recipe: {recipe}"] if (recipe := recipe_of(ok)) else []
    if lines is not None:
        told += explained(lines)
    notes = []
    several = bool((ok.groupby("model")["seed"].nunique() > 1).any())
    if several and (lines is None or spreads_shown(lines)):
        notes.append("± is the standard deviation over seeds")
    if bool((ok["compile_cache"] == "hit").fillna(False).any()):
        notes.append("compile s leaves out programs that came from the cache")
    if bool((ok["selection"] == "best").any()):
        notes.append("the epoch is chosen on validation, and the test set read once")
    shared = int((~ok["timing_comparable"].fillna(True).astype(bool)).sum())
    if shared:
        notes.append(f"‡ times of {shared} are not comparable: another run went on beside")
    again = ok.loc[ok["recompiles"].fillna(0) > 0]
    if len(again):
        notes.append(f"† {len(again)} compiled again while training{_some(again)}")
    return "\n".join([*told, "; ".join(notes)]).strip()


def place_of(ok: pd.DataFrame) -> str:
    """Machines and versions of the rows, all of them."""
    found = {word: _all(pd.Series(ok[column])) for column, word in PLACE.items()}
    parts = [f"{word} {text}" for word, text in found.items() if text]
    return ", ".join(parts)


def recipe_of(ok: pd.DataFrame) -> str:
    """What all rows share and is no default; what differs has a column of its own."""
    shown: list[str] = []
    tuning = ""
    for name, default in Recipe().to_row().items():
        values: list[Any] = ok[name].unique().tolist()
        if name == "tune_trials":
            tuning = _tuned(values, ok)
            shown += [tuning] if tuning else []
        elif len(values) == 1 and not pd.isna(values[0]) and values[0] != default:
            value = f"{values[0]:g}" if isinstance(values[0], float) else values[0]
            shown.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(["defaults"] * (len(shown) == 1 and tuning in shown) + shown)


def _tuned(trials: list[Any], ok: pd.DataFrame) -> str:
    seen = trials_saw(ok)
    if len(trials) > 1:  # how many they are has a column
        return f"trials{seen}" if seen else ""
    if not trials[0]:
        return "untuned"
    # missing where all were ok
    each = [trials[0] if pd.isna(number) else number for number in tuning_told(ok)["tune_ok"]]
    few, most = min(each), max(each)
    least = f" ({few if few == most else f'{few} to {most}'} ok)" if few < trials[0] else ""
    return f"best of {trials[0]} trials{least}{seen}"


def _some(again: pd.DataFrame) -> str:
    """What was compiled, of the first rows that differ."""
    named = list(dict.fromkeys(text for text in again["recompiled"].dropna() if text))
    more = f" and {len(named) - SHOWN} others" if len(named) > SHOWN else ""
    return f": {' and '.join(named[:SHOWN])}{more}" if named else ""


def _all(values: pd.Series) -> str:
    return " and ".join(dict.fromkeys(str(v) for v in values.dropna() if v != ""))


def _days(values: pd.Series) -> str:
    days: list[Any] = sorted({str(v)[:10] for v in values.dropna()})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else ""
