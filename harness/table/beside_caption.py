"""What stands below two sides: what they are, what they share, and what the columns say."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from harness.comparison.intervals import EXAMPLES, SEEDS, SEEDS_AND_EXAMPLES
from harness.errors import counted
from harness.table.caption import place_of, recipe_of
from harness.table.halves import entry_text, half_of, meetings
from harness.table.labels import RECIPE, selection
from harness.table.sides import Side

MOST = 4  # lines that a note names
# what an interval is over, the most that can be known first
OVER = {
    SEEDS_AND_EXAMPLES: "[low, high] is the 95 % interval over common seeds and test examples",
    EXAMPLES: "§ one common seed: interval and p are over test examples only, and about these "
              "two trained models",
    SEEDS: "¶ 95 % interval over common seeds only, not test examples: seeds that agree make "
           "it too narrow",
}  # fmt: skip


def beside_caption(first: Side, second: Side, lines: pd.DataFrame) -> str:
    """The lines below `lines`, which `beside` made of the two sides.

    They are of the runs that the lines hold, and of no others of the sides.
    """
    runs = _met(first, second)
    both = pd.concat(runs, ignore_index=True)
    examples = sorted({
        len(side.evidence.right[run])
        for side, some in zip((first, second), runs, strict=True)
        for run in some["run_id"] if run in side.evidence.right
    })  # fmt: skip
    measured = f"{' or '.join(f'{n:,}' for n in examples)} test examples" if examples else ""
    head = (f"A is {first.name}, B is {second.name}", measured, place_of(both))
    recipe = recipe_of(both)
    a, b = (_chosen(side, some) for side, some in zip((first, second), runs, strict=True))
    told = ["; ".join(part for part in head if part)]
    told += [f"recipe: {recipe}"] if recipe else []
    told += [f"chosen: {a or 'nothing'} (A), {b or 'nothing'} (B)"] if a or b else []
    alone = _alone(first, second)
    return "\n".join([*told, *_legend(lines), *_notes(lines), *alone])


def _met(first: Side, second: Side) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs of each side whose cells meet one of the other side."""
    one, two = half_of(first), half_of(second)
    found = meetings(one, two)
    return (
        one.runs.loc[one.runs["cell"].isin([meeting.first for meeting in found])],
        two.runs.loc[two.runs["cell"].isin([meeting.second for meeting in found])],
    )


def _alone(first: Side, second: Side) -> list[str]:
    """A note on the lines of each side that meet none of the other."""
    one, two = half_of(first), half_of(second)
    found = meetings(one, two)
    met = {m.first for m in found}, {m.second for m in found}
    notes = []
    for name, half, cells in zip("AB", (one, two), met, strict=True):
        left = half.lines.iloc[sorted(set(half.cells.values()) - cells)]
        columns = [n for n in left if n in ("dataset", "model", *RECIPE)]
        entries = left[columns].itertuples(index=False, name=None)
        names = [entry_text(columns, entry) for entry in entries]
        if names:
            more = ", ..." if len(names) > MOST else ""
            notes.append(
                f"note: {counted(len(left), 'line')} of {name} without a like one on the other "
                f"side, left out: {', '.join(names[:MOST])}{more}"
            )
    return notes


def _chosen(side: Side, runs: pd.DataFrame) -> str:
    """What tuning chose for a side, and where if that is not the same for all its cells."""
    first = runs.drop_duplicates("cell")
    found: dict[str, dict[str, None]] = {}
    for tune, place in zip(first["tune"], _places(side, first), strict=True):
        if isinstance(tune, str):
            chosen: dict[str, Any] = json.loads(tune)["chosen"]
            text = ", ".join(f"{key}={value}" for key, value in chosen.items())
            found.setdefault(text, {})[place] = None
    if len(found) < 2:
        return "".join(found)
    return " or ".join(f"{text} on {', '.join(places)}" for text, places in found.items())


def _places(side: Side, cells: pd.DataFrame) -> list[str]:
    """The data set of each cell, and the model where sides have several."""
    names = ["dataset", "dataset_variant"]
    names += [] if side.kind == "model" else ["model", "variant"]
    rows = cells[names].fillna("").itertuples(index=False, name=None)
    return [
        " ".join(selection(*entry, {}) for entry in zip(row[::2], row[1::2], strict=True))
        for row in rows
    ]


def _legend(lines: pd.DataFrame) -> list[str]:
    """What the columns are, of those that say something."""
    accuracy = [*_intervals(lines), *_p(lines)]
    ratios = "error A/B is the ratio of 1 - accuracy, below 1 where A errs less"
    told = ["; ".join(accuracy)] if accuracy else []
    told += [ratios] if _some(lines, "error_ratio") else []
    return told + ([_loss(lines)] if _some(lines, "loss_difference") else [])


def _some(lines: pd.DataFrame, name: str) -> bool:
    return name in lines and bool(lines[name].notna().any())


def _intervals(lines: pd.DataFrame) -> list[str]:
    """What intervals of accuracies are over, with the mark of those that say less."""
    there = set(lines["difference_over"].dropna()) if "difference_over" in lines else set()
    return [text for over, text in OVER.items() if over in there]


def _p(lines: pd.DataFrame) -> list[str]:
    pairs = len(lines.loc[lines["p"].notna()]) if "p" in lines else 0
    if not pairs:
        return []
    alone = "of this pair alone" if pairs < 2 else f"adjusted over these {pairs} pairs (Holm)"
    wider = "a table, which adjusts over all pairs of its lines, may call the same pair a tie"
    return [f"p of no difference is {alone}, * p <= 0.05; {wider}"]


def _loss(lines: pd.DataFrame) -> str:
    text = (
        "loss A - B is the difference in test loss over common seeds, below 0 where A is better"
    )
    known = _some(lines, "loss_difference_low")
    return f"{text}; [low, high] is its 95 % interval over these seeds" if known else text


def _notes(lines: pd.DataFrame) -> list[str]:
    if "note" not in lines:
        return []
    names = [name for name in ("dataset", "model") if name in lines]
    noted = lines.loc[lines["note"].ne(""), [*names, "note"]]
    found = [
        f"note: {' '.join(entry[:-1])}: {entry[-1]}" for entry in noted.itertuples(index=False)
    ]
    return list(dict.fromkeys(found))
