"""What the marks in a table's lines mean: sentences for those that are there, and no others."""

from __future__ import annotations

import pandas as pd

from harness.comparison.intervals import EXAMPLES, SEEDS, SEEDS_AND_EXAMPLES


def explained(lines: pd.DataFrame) -> list[str]:
    """The lines of a caption on intervals, ranks and fronts; none where there are none."""
    return [text for text in ("; ".join(_known(lines)), "; ".join(_compared(lines))) if text]


def spreads_shown(lines: pd.DataFrame) -> bool:
    """Whether a standard deviation stands behind any mean of the lines."""
    hidden = {"accuracy_sd", "vs_parent_sd"} if "accuracy_low" in lines else set()
    names = [str(n) for n in lines if str(n).endswith("_sd") and n not in hidden]
    return any(bool(lines[name].notna().any()) for name in names)


def _known(lines: pd.DataFrame) -> list[str]:
    if "accuracy_over" not in lines:
        return []
    over = set(lines["accuracy_over"].dropna())
    told = []
    if SEEDS_AND_EXAMPLES in over:
        told.append("[low, high] is the 95 % interval over seeds and test examples")
    if EXAMPLES in over:
        told.append("§ one seed: 95 % interval over test examples only")
    if SEEDS in over:
        told.append(
            "¶ 95 % interval over seeds only: answers to the test examples are not stored"
        )
    if "rank" in lines:
        told.append("rank is 1 + the number of significantly better lines, = marks ties")
    if "vs_parent_p" in lines and bool((lines["vs_parent_p"] <= 0.05).any()):
        told.append("* differs from its parent (Holm, all pairs of a data set)")
    return told


def _compared(lines: pd.DataFrame) -> list[str]:
    told = []
    if "pareto" in lines:
        told.append("pareto: no line is as accurate with S a faster step, P fewer parameters, "
                    "T less training time")  # fmt: skip
    if "time_to_target_s" in lines:
        told.append("time to target is training until an epoch reached it, median over seeds")
    if "rank" in lines and "tune_trials" in lines:
        told.append("lines with unequal tuning are compared: ranks say as much of the tuning")
    return told
