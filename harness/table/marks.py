"""What the marks in a table's lines mean: sentences for those that are there, and no others."""

from __future__ import annotations

import pandas as pd

from harness.comparison.intervals import ALPHA, EXAMPLES, SEEDS, SEEDS_AND_EXAMPLES

# what another line would have to have, by the letter of a front
BETTER = {"S": "a faster step", "P": "fewer parameters", "T": "less training time"}
# columns on what the number beside them is over; each decides on a mark
OVER = ("accuracy_over", "rank_over", "vs_parent_over", "vs_next_over", "vs_best_over")


def explained(lines: pd.DataFrame) -> list[str]:
    """The lines of a caption on intervals, ranks and fronts; none where there are none."""
    several = (_known(lines), _compared(lines), _fronts(lines), _target(lines), _tuning(lines))
    return [text for some in several if (text := "; ".join(some))]


def spreads_shown(lines: pd.DataFrame) -> bool:
    """Whether a standard deviation stands behind any mean of the lines."""
    hidden = {"accuracy_sd", "vs_parent_sd"} if "accuracy_low" in lines else set()
    names = [str(n) for n in lines if str(n).endswith("_sd") and n not in hidden]
    return any(bool(lines[name].notna().any()) for name in names)


def _tuning(lines: pd.DataFrame) -> list[str]:
    if "tune_at_end" not in lines:
        return []
    ends = lines.loc[lines["tune_at_end"].notna(), ["model", "tune_at_end"]]
    told = [f"{names} of {model}" for model, names in ends.itertuples(index=False)]
    listed = ", ".join(dict.fromkeys(told))
    return [f"‖ the best value lies at the end of its range, a wider one may hold a better: "
            f"{listed}"]  # fmt: skip


def _known(lines: pd.DataFrame) -> list[str]:
    if "accuracy_over" not in lines:
        return []
    over = {word for name in OVER if name in lines for word in lines[name].dropna()}
    told = []
    if SEEDS_AND_EXAMPLES in over:
        told.append("[low, high] is the 95 % interval over seeds and test examples")
    if EXAMPLES in over:
        told.append(_of_one_seed(lines))
    if SEEDS in over:
        told.append(
            "¶ 95 % interval over seeds only, not test examples: answers are not stored, and "
            "seeds that agree make it too narrow"
        )
    return told


def _of_one_seed(lines: pd.DataFrame) -> str:
    told = ["95 % intervals (over test examples only)"]
    told += ["ranks"] * ("rank" in lines) + ["*"] * _starred(lines)
    *some, last = told
    joined = " and ".join(filter(None, [", ".join(some), last]))
    return f"§ one seed: {joined} are about these trained models, not about other seeds"


def _starred(lines: pd.DataFrame) -> bool:
    """Whether `*` stands behind the difference of any line from its parent."""
    return "vs_parent_p" in lines and bool((lines["vs_parent_p"] <= ALPHA).any())


def _compared(lines: pd.DataFrame) -> list[str]:
    told = []
    if "rank" in lines:
        tied = bool(lines["tied"].fillna(False).any())
        told.append("rank is 1 + the number of significantly better lines"
                    + ", = marks ties" * tied)  # fmt: skip
        if bool(lines.loc[lines["vs_best"].notna(), "rank"].isna().any()):
            told.append("a line without a rank was not compared with all that have one: no "
                        "stored answers, no common seed or other test labels")  # fmt: skip
    if _starred(lines):
        told.append("* differs from its parent")
    if "family_pairs" in lines:
        told.append(f"intervals are of each pair alone, p, * and ranks adjusted over "
                    f"{_pairs(lines)} (Holm)")  # fmt: skip
    if "rank" in lines and _tuned_unequally(lines):
        told.append("lines with unequal tuning are compared: ranks say as much of the tuning")
    return told


def _tuned_unequally(lines: pd.DataFrame) -> bool:
    """Whether lines that are compared were given other trials, or other spaces."""
    if "tune" in lines or "tune_trials" not in lines:
        return "tune" in lines  # `tabulate` has that column where spaces or budgets are unequal
    compared = [name for name in ("dataset", "limit") if name in lines]
    budgets = lines.groupby(compared, dropna=False)["tune_trials"].nunique()
    return bool((budgets > 1).any())


def _pairs(lines: pd.DataFrame) -> str:
    """How many pairs are a family, and that each data set is one of its own if so."""
    paired = lines.loc[lines["family_pairs"].notna()]
    least, most = int(paired["family_pairs"].min()), int(paired["family_pairs"].max())
    # each family has one line with the highest accuracy
    families = int((paired["vs_best"] == "best").sum())
    if least < most:
        return f"all pairs of each data set ({least} to {most})"
    if families > 1:
        told = "the one pair" if most == 1 else f"the {most} pairs"
        return f"{told} of each data set"
    return "the one pair" if most == 1 else f"{most} pairs"


def _fronts(lines: pd.DataFrame) -> list[str]:
    if "pareto" not in lines:
        return []
    there = set("".join(lines["pareto"].dropna()))
    told = [f"{letter} {better}" for letter, better in BETTER.items() if letter in there]
    text = [f"pareto: no line is as accurate with {', '.join(told)}"] if told else []
    return text + _unjudged(lines)


def _unjudged(lines: pd.DataFrame) -> list[str]:
    """Why fronts of times are missing, and of which data sets if not of all."""
    if "pareto_note" not in lines:
        return []
    noted = lines.loc[lines["pareto_note"].notna()]
    everywhere = len(noted) == len(lines.loc[lines["pareto"].notna()])
    why = {
        note: "" if everywhere else f" ({', '.join(some['dataset'].unique())})"
        for note, some in noted.groupby("pareto_note", sort=False)
    }
    reasons = ", ".join(f"{note}{where}" for note, where in why.items())
    return [f"pareto: S and T are not judged: {reasons}"]


def _target(lines: pd.DataFrame) -> list[str]:
    if "time_to_target_s" not in lines or not bool(lines["time_to_target_s"].notna().any()):
        return []
    splits = " and ".join(dict.fromkeys(lines["target_split"].dropna()))
    some = lines["time_to_target_s"].notna() & (lines["reached_target"] < lines["n"])
    text = f"time to target is training until an epoch's {splits} accuracy reached it, median"
    if not bool(some.any()):
        return [text]
    return [f"{text} of the runs that did (2 of 3: two of three), while train s is of all"]
