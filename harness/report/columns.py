"""The columns of a report's table: what each line says in them, and by what they are sorted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.comparison.intervals import ALPHA
from harness.report.lines import Line, chosen
from harness.table.cells import TAKEN
from harness.table.render import OVER

MISSING = "–"
FRONTS = {"S": "step time", "P": "parameters", "T": "training time"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a line says in a column.

    Attributes:
      text: its number or word.
      note: what stands smaller below it, in lines.
      marks: letters, each with what it stands for.
      sort: what it is sorted by; None goes last.
    """

    text: str
    note: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    sort: float | str | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Attributes:
      name: letters and `_`, unique in the table.
      says: what it means, in a sentence.
      is_number: numbers stand on the right.
      is_better_high: a first click sorts the largest to the top.
      cell: of a line; None where the line has nothing to say.
    """

    name: str
    heading: str
    says: str
    cell: Callable[[Line], Cell | None]
    is_number: bool = True
    is_better_high: bool = False


def columns_of(lines: Sequence[Line]) -> list[Column]:
    """The columns in which any of the lines says something, in order."""
    metrics = list(dict.fromkeys(name for line in lines for name in _metrics(line)))
    have_accuracy = bool(lines) and all("accuracy" in line.values for line in lines if line.ok)
    known = [c for c in COLUMNS if not (c.name == "loss" and have_accuracy)]
    place = [c.name for c in known].index("param_count")
    known[place:place] = [_metric(name) for name in metrics]
    if all(line.values.get("status", "ok") == "ok" for line in lines):
        known = [c for c in known if c.name != "status"]
    if len({len(line.ok) for line in lines}) == 1:
        known = [c for c in known if c.name != "n"]  # the page says it once
    if all(not (row["tune_trials"] or 0) for line in lines for row in line.ok):
        known = [c for c in known if c.name != "tuned"]  # the caption says so
    return [c for c in known if any(c.cell(line) is not None for line in lines)]


def _metrics(line: Line) -> list[str]:
    """Names of the metrics that plugins added, by the columns that the table has for them."""
    measured = [name for row in line.ok for name in json.loads(row["metrics"] or "{}")]
    bare = [(name, name.removeprefix("test_")) for name in dict.fromkeys(measured)]
    names = [name if one in TAKEN else one for name, one in bare if name != one]
    return [name for name in names if name in line.values]


def _metric(name: str) -> Column:
    return Column(
        name=name, heading=name.replace("_", " "),
        says="A metric that was asked for with --metric: its mean over seeds, and behind ± its "
        "standard deviation.",
        cell=lambda line: _measured(line, name), is_better_high=not _is_error(name),
    )  # fmt: skip


def _is_error(name: str) -> bool:
    """Whether less is better, as far as the name tells: a metric says nothing of it."""
    return name.partition("[")[0].endswith(("error", "loss"))


def _measured(line: Line, name: str) -> Cell | None:
    cell, spread = _number(line, name, decimals), line.values.get(f"{name}_sd")
    return cell if cell is None or spread is None else replace(cell, note=_spread(spread))


def _spread(value: float) -> str:
    return f"± {value:.4f}"


def three(value: float) -> str:
    """Three significant digits, and every digit before the point."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def decimals(value: float) -> str:
    return f"{value:.4f}"


def signed(value: float, digits: int = 4) -> str:
    """With a sign, and a minus as wide as a plus."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def p_value(value: float) -> str:
    return (
        "p < 0.001"
        if value < 0.001
        else f"p = {value:.3f}"
        if value < 0.1
        else f"p = {value:.2f}"
    )


def _number(line: Line, name: str, write: Callable[[float], str]) -> Cell | None:
    value = line.values.get(name)
    return None if value is None else Cell(text=write(value), sort=float(value))


def _interval(line: Line, name: str, write: Callable[[float], str]) -> str:
    """An interval's ends, with three decimals: more would say nothing."""
    low, high = (line.values.get(f"{name}_{end}") for end in ("low", "high"))
    return "" if low is None or high is None else f"[{write(low)}, {write(high)}]"


def _rank(line: Line) -> Cell | None:
    rank = line.values.get("rank")
    if rank is None:
        return None
    tie = "=" if line.values.get("tied") else ""
    return Cell(text=f"{rank}{tie}{_over(line, 'rank')}", sort=float(rank))


def _over(line: Line, name: str) -> str:
    """The mark of what a comparison is over, if not over seeds and examples."""
    return OVER.get(line.values.get(f"{name}_over", ""), "")


def _accuracy(line: Line) -> Cell | None:
    value = line.values.get("accuracy")
    if value is None:
        return None
    note = _interval(line, "accuracy", lambda end: f"{end:.3f}")
    note += _over(line, "accuracy") if note else ""
    if not note and "accuracy_sd" in line.values:
        note = _spread(line.values["accuracy_sd"])
    return Cell(text=decimals(value), note=note, sort=value)


def _vs_parent(line: Line) -> Cell | None:
    value = line.values.get("vs_parent")
    if value is None:
        return None
    told = [_interval(line, "vs_parent", lambda end: signed(end, 3))]
    p = line.values.get("vs_parent_p")
    if p is not None:
        told.append(p_value(p) + (" *" if p <= ALPHA else ""))  # as in the caption
    told[-1] += _over(line, "vs_parent") if told[-1] else ""
    return Cell(text=signed(value), note="\n".join(filter(None, told)), sort=value)


def _timing_marks(line: Line) -> str:
    known = (("‡", "shared"), ("†", "compiled_again"))
    return "".join(mark for mark, name in known if line.values.get(name, 0) > 0)


def _train_s(line: Line) -> Cell | None:
    value = line.values.get("train_s")
    if value is None:
        return None
    return Cell(text=three(value) + _timing_marks(line), sort=value)


def _step_ms(line: Line) -> Cell | None:
    value = line.values.get("step_ms_p50")
    if value is None:
        return None
    marks = _timing_marks(line)
    p90 = line.values.get("step_ms_p90")
    note = "" if p90 is None else f"p90 {three(p90)}"
    return Cell(text=three(value) + marks, note=note, sort=value)


def _target(line: Line) -> Cell | None:
    reached = line.values.get("reached_target")
    if reached is None:
        return None
    value = line.values.get("time_to_target_s")
    text = MISSING if value is None else three(value)
    return Cell(text=text, note=f"{reached} of {len(line.ok)}", sort=value)


def _pareto(line: Line) -> Cell | None:
    letters: str | None = line.values.get("pareto")
    if not letters:
        return None
    marks = tuple((letter, FRONTS.get(letter, letter)) for letter in letters)
    return Cell(text="", marks=marks, sort=-len(marks))


def _tuned(line: Line) -> Cell | None:
    trials = {row["tune_trials"] for row in line.ok}
    if not trials:
        return None
    count = max(n or 0 for n in trials)
    at_end = str(line.values.get("tune_at_end", "")).split(", ")
    told = [
        f"{k.removeprefix('model.').replace('_', ' ')} {_short(v)}{'‖' if k in at_end else ''}"
        for k, v in chosen(line.ok).items()
    ]
    ended = f" ({line.values['tune_ok']} ok)" if "tune_ok" in line.values else ""
    text = f"best of {count}{ended}" if count else "untuned"
    return Cell(text=text, note="\n".join(told), sort=count)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _seeds(line: Line) -> Cell:
    return Cell(text=str(len(line.ok)), sort=len(line.ok))


def _status(line: Line) -> Cell | None:
    status = line.values.get("status")
    return None if status is None else Cell(text=str(status), sort=str(status))


def _of(name: str, write: Callable[[Any], str]) -> Callable[[Line], Cell | None]:
    return lambda line: _number(line, name, write)


COLUMNS: tuple[Column, ...] = (
    Column(
        name="rank", heading="rank", cell=_rank,
        says="1 + the number of lines of the data set that are significantly better "
        "(tests between all pairs, Holm-adjusted, at 0.05). Lines of one rank with = are not "
        "told apart.",
    ),
    Column(
        name="accuracy", heading="accuracy", cell=_accuracy, is_better_high=True,
        says="Mean test accuracy over seeds, with its 95 % interval over seeds and test "
        "examples.",
    ),
    Column(name="loss", heading="loss", cell=_of("loss", decimals),
           says="Mean test loss over seeds."),
    Column(
        name="vs_parent", heading="vs parent", cell=_vs_parent, is_better_high=True,
        says="Difference in accuracy from the model that the variant changes, on the same "
        "seeds and test examples, with its 95 % interval and Holm-adjusted p, and * where that "
        "is at most 0.05.",
    ),
    Column(name="param_count", heading="params",
           cell=_of("param_count", lambda count: f"{count:,}"), says="Trained parameters."),
    Column(
        name="step_ms_p50", heading="step ms", cell=_step_ms,
        says="Median time of a training step without compilation and warm-up; p90 is its 0.9 "
        "quantile. ‡ another run went on beside it; † programs were compiled again.",
    ),
    Column(name="train_s", heading="train s", cell=_train_s,
           says="Time of all training steps, the median over seeds."),
    Column(
        name="time_to_target_s", heading="s to target", cell=_target,
        says="Training time until the target accuracy was first reached, the median of the "
        "seeds that reached it, and how many did.",
    ),
    Column(
        name="pareto", heading="Pareto", cell=_pareto, is_number=False,
        says="Accuracy fronts that the line is on: S by step time, P by parameters, T by "
        "training time. No other line is at least as accurate and cheaper.",
    ),
    Column(
        name="tuned", heading="tuning", cell=_tuned, is_number=False,
        says="How many configurations were tried on validation for this line; an untuned line "
        "beside a tuned one had less of a chance. ‖ the value is at the end of its range.",
    ),
    Column(name="n", heading="seeds", cell=_seeds, says="Runs that ended well.",
           is_better_high=True),
    Column(name="status", heading="status", cell=_status, is_number=False,
           says="How the runs ended, where one did not end well."),
)  # fmt: skip
