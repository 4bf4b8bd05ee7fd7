"""Two sides, side by side: effect sizes first, then what each side has.

A line is of two cells that meet (`harness.table.halves`), and begins with the effect of the one
against the other (`harness.table.effects`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.comparison import holm
from harness.comparison.evidence import alike
from harness.errors import UsageError
from harness.table.effects import effect_of, ratio
from harness.table.halves import Half, Meeting, half_of, meetings
from harness.table.known import apart
from harness.table.labels import RECIPE
from harness.table.render import to_text, with_caption
from harness.table.sides import Side

VALUES = ("param_count", "step_ms_p50", "train_s")
RATIOS = {"step_ms_p50": "step_ratio", "param_count": "params_ratio", "train_s": "train_ratio"}
TIMES = ("step_ms_p50", "train_s")
COLUMNS = [
    "seeds", "difference", "difference_low", "difference_high", "difference_over", "p",
    "error_ratio", "loss_difference", "loss_difference_low", "loss_difference_high",
    *RATIOS.values(),
    *(f"{name}_{side}" for name in ("accuracy", "loss", *VALUES) for side in "ab"), "note",
]  # fmt: skip


def beside(first: Side, second: Side) -> pd.DataFrame:
    """A line for each data set and recipe (and model) that both sides have.

    Columns: what the lines are of; `difference`, the first side's accuracy minus the second's
    on common `seeds`, with its 95 % interval and what that is over; `p`, by Holm adjusted for
    all lines; ratios of the first to the second in error (1 - accuracy), step time, parameters
    and training time; the values of each side (`_a`, `_b`), accuracies over the common seeds,
    or without one over all, of which there is no ratio of errors;
    `note` says why something is missing or may mislead. Of a task without accuracy
    `loss_difference`, `loss_a` and `loss_b`, all of the test loss, stand in their place.
    What tuning chose is not among them: it differs from side to side.

    Raises:
      UsageError: sides of different kinds, a word that stands for several lines of one data
        set and recipe, or nothing in common.
    """
    if first.kind != second.kind:
        raise UsageError(
            f"{first.name!r} is a {first.kind} and {second.name!r} a {second.kind}; compare "
            "two models, two commits or two stores"
        )
    halves = half_of(first), half_of(second)
    found = meetings(*halves)
    told = zip(_named(*halves, found), found, strict=True)
    frame = pd.DataFrame([name | _line(*halves, meeting) for name, meeting in told])
    if "p" in frame:
        known = frame["p"].notna()
        frame.loc[known, "p"] = holm(frame.loc[known, "p"].to_numpy(dtype=float))
    of = [n for n in frame if n not in COLUMNS and (n not in RECIPE or _known(frame, n))]
    names = [n for n in COLUMNS if n in frame and (n != "note" or bool(frame[n].ne("").any()))]
    texts = {name: "string" for name in ("difference_over", "note") if name in names}
    return frame.loc[:, [*of, *names]].astype(texts)


def beside_text(lines: pd.DataFrame, format: str, *, below: str) -> str:
    """The lines of `beside` for people, with what they are below, or for programs.

    People see the notes below, and neither them nor step times among the columns.

    Args:
      format: "text", "markdown" or "latex", "csv" or "json" (an array of objects).
      below: from `beside_caption`.
    """
    if format == "csv":
        return lines.to_csv(index=False, lineterminator="\n")
    if format == "json":
        return str(lines.to_json(orient="records", indent=1, double_precision=15))
    shown = lines.drop(columns=["step_ms_p50_a", "step_ms_p50_b", "note"], errors="ignore")
    return with_caption(to_text(shown, format), below, format)


def _known(frame: pd.DataFrame, name: str) -> bool:
    return bool(frame[name].notna().any())


def _line(one: Half, two: Half, meeting: Meeting) -> dict[str, Any]:
    a, b = one.lines.iloc[meeting.first], two.lines.iloc[meeting.second]
    runs = one.of(meeting.first), two.of(meeting.second)
    answers = one.answers.get(meeting.first), two.answers.get(meeting.second)
    effect = effect_of(runs, answers, other=_other(one.side, two.side, runs))
    why = _incomparable(*runs)
    told = effect.columns
    for name, column in RATIOS.items():
        given = not why or name not in TIMES
        told[column] = ratio(a[name], b[name]) if given else np.nan
    for name in VALUES:
        told |= {f"{name}_a": a.get(name, np.nan), f"{name}_b": b.get(name, np.nan)}
    notes = [*effect.notes, *_uncommitted(one.side, runs), *meeting.notes]
    notes += [f"times not comparable: {' and '.join(why)}"] if why else []
    return told | {"note": "; ".join(notes)}


def _named(one: Half, two: Half, found: Sequence[Meeting]) -> list[dict[str, Any]]:
    """What each line is of; where that is the same for several, as either side writes it."""
    several = [_told(one, two, meeting) for meeting in found]
    return [
        told | _both(one, two, meeting) if several.count(told) > 1 else told
        for told, meeting in zip(several, found, strict=True)
    ]


def _both(one: Half, two: Half, meeting: Meeting) -> dict[str, str]:
    """The names of a line in the words of both sides, where these are not the same."""
    names = {}
    for name in _names(one):
        both = one.lines[name].iloc[meeting.first], two.lines[name].iloc[meeting.second]
        names[name] = " / ".join(dict.fromkeys(both))
    return names


def _names(half: Half) -> list[str]:
    return ["dataset", *([] if half.side.kind == "model" else ["model"])]


def _told(one: Half, two: Half, meeting: Meeting) -> dict[str, Any]:
    """What a line is of: names as the side writes them that knows more of their parameters."""
    half, cell = one, meeting.first
    if meeting.alone[1] and not meeting.alone[0]:
        half, cell = two, meeting.second
    told = {name: half.lines[name].iloc[cell] for name in _names(one)}
    # the recipe tells lines apart where a side has several; what was tuned is missing here
    differing = [name for name in RECIPE if name in one.lines or name in two.lines]
    asked = one.asked[differing].astype(object).loc[meeting.first]  # an epoch is no float
    return told | asked.where(asked.notna(), None).to_dict()


def _incomparable(one: pd.DataFrame, two: pd.DataFrame) -> list[str]:
    """Why times are not held side by side, if they are not."""
    place = apart(pd.concat([one, two]))
    why = [f"{' and '.join(place)} differ{'s' * (len(place) == 1)}"] if place else []
    return why + (
        ["another run went on beside"] if any(_shared(some) for some in (one, two)) else []
    )


def _uncommitted(side: Side, runs: tuple[pd.DataFrame, pd.DataFrame]) -> list[str]:
    """Of commits, the sides whose rows are not of what was committed."""
    if side.kind != "commit":
        return []
    dirty = [bool(some["dirty"].fillna(False).any()) for some in runs]
    return [
        f"{name} holds rows of uncommitted changes"
        for name, is_so in zip("AB", dirty, strict=True)
        if is_so
    ]


def _other(one: Side, two: Side, runs: tuple[pd.DataFrame, pd.DataFrame]) -> str:
    """What the two have seen otherwise, "" if nothing; data need not have a fingerprint."""
    if len(pd.concat(runs)["data_fingerprint"].drop_duplicates()) > 1:
        return "data"
    asked = (s.evidence.asked(some["run_id"]) for s, some in zip((one, two), runs, strict=True))
    return "" if alike(*asked) else "test labels"


def _shared(runs: pd.DataFrame) -> bool:
    return not bool(runs["timing_comparable"].fillna(True).all())
