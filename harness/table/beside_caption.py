"""What stands below two sides: what they are, what they share, and what the columns say."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from harness.table.caption import place_of, recipe_of
from harness.table.cells import counted
from harness.table.sides import Side


def beside_caption(first: Side, second: Side, lines: pd.DataFrame) -> str:
    """The lines below `lines`, which `beside` made of the two sides."""
    runs = [_ok(side) for side in (first, second)]
    both = pd.concat([some for some in runs if len(some)], ignore_index=True)
    examples = sorted({
        len(side.evidence.right[run])
        for side, some in zip((first, second), runs, strict=True)
        for run in some["run_id"] if run in side.evidence.right
    })  # fmt: skip
    measured = f"{' or '.join(f'{n:,}' for n in examples)} test examples" if examples else ""
    head = (f"A is {first.name}, B is {second.name}", measured, place_of(both))
    recipe, picked = recipe_of(both), [_chosen(some) for some in runs]
    told = ["; ".join(part for part in head if part)]
    told += [f"recipe: {recipe}"] if recipe else []
    told += [
        f"chosen: {a or 'nothing'} (A), {b or 'nothing'} (B)" for a, b in [picked] if a or b
    ]
    return "\n".join([*told, *_legend(lines), *_notes(lines)])


def _ok(side: Side) -> pd.DataFrame:
    runs = counted(side.frame)
    return runs.loc[runs["status"] == "ok"]


def _chosen(runs: pd.DataFrame) -> str:
    """What tuning chose for a side, in the order of its cells."""
    texts = [text for text in runs.drop_duplicates("cell")["tune"] if isinstance(text, str)]
    chosen: list[dict[str, Any]] = [json.loads(text)["chosen"] for text in texts]
    return " or ".join(
        dict.fromkeys(", ".join(f"{k}={v}" for k, v in one.items()) for one in chosen)
    )


def _legend(lines: pd.DataFrame) -> list[str]:
    pairs = len(lines.loc[lines["p"].notna()])
    alone = "of this pair alone" if pairs < 2 else f"adjusted over these {pairs} pairs (Holm)"
    wider = "a table, which adjusts over all pairs of its lines, may call the same pair a tie"
    p = f"p of no difference is {alone}, * p <= 0.05; {wider}" if pairs else ""
    interval = "[low, high] is the 95 % interval over common seeds and test examples"
    ratios = "error A/B is the ratio of 1 - accuracy, below 1 where A errs less"
    return ["; ".join(part for part in (interval, p) if part), ratios]


def _notes(lines: pd.DataFrame) -> list[str]:
    if "note" not in lines:
        return []
    names = [name for name in ("dataset", "model") if name in lines]
    noted = lines.loc[lines["note"].ne(""), [*names, "note"]]
    found = [
        f"note: {' '.join(entry[:-1])}: {entry[-1]}" for entry in noted.itertuples(index=False)
    ]
    return list(dict.fromkeys(found))
