"""A report as one HTML file that asks for nothing: style, script and figures are in it.

Texts from a store are not trusted. The template escapes them, and the page's policy lets the
one script run whose hash it names, and nothing be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.comparison import intervals
from harness.report.calibration import BINS
from harness.report.columns import three
from harness.report.disagreements import EXAMPLES
from harness.report.document import DataSet, Document, Drawn
from harness.report.forest import WIDTH, bar
from harness.report.lines import Line, printable
from harness.report.look import LOOKS, MARKERS, Look, look
from harness.report.panels import MOST
from harness.report.step_times import QUANTILES
from harness.table.known import BETTER

# the marks of the figures as paths in a box of 26 x 12
MARKS = dict(
    zip(
        MARKERS,
        (
            "M13 2.5a3.5 3.5 0 1 0 .01 0z", "M9.8 2.8h6.4v6.4h-6.4z", "M13 2l4 7.4H9z",
            "M13 1.6l4.4 4.4-4.4 4.4L8.6 6z", "M13 10L9 2.6h8z",
            "M11.6 2h2.8v2.6h2.6v2.8h-2.6V10h-2.8V7.4H9V4.6h2.6z",
        ),
        strict=True,
    )
)  # fmt: skip


FIRST = 8  # examples that are shown before more are asked for


def to_html(document: Document) -> str:
    """The report's page; the same document gives the same text."""
    script, style = (_text(name) for name in ("report.js", "report.css"))
    digest = hashlib.sha256(script.encode()).digest()
    has = _has(document.data_sets)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            document=document, title=_title(document), summary=_summary(document),
            findings=_findings(document),
            run_counts=_counts(document), sections=_sections(document, has), has=has,
            script=Markup(script), script_hash=base64.b64encode(digest).decode(),
            style=Markup(style), bins=BINS, most_examples=EXAMPLES, first_examples=FIRST,
            heading=_heading(document), mean_marks=_mean_marks(document.lines),
            most_panels=MOST, forest_width=f"{WIDTH:g}",
            step_quantiles=QUANTILES,
        )
    )  # fmt: skip


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "bar": bar, "breakable": _breakable, "look": look, "three": three,
        "variable": _variable,
        "mark": lambda look: MARKS[look.marker], "dashes": _dashes, "entries": _entries,
    }  # fmt: skip
    return environment


def _text(name: str) -> str:
    return (files("harness.report") / "templates" / name).read_text(encoding="utf-8")


def _variable(look: Look) -> str:
    return f"var(--c{LOOKS.index(look.colour)})"


def _breakable(name: str) -> Markup:
    """A name that may be broken behind the marks within it."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,_\[])", name))


def _dashes(look: Look) -> str:
    return "" if isinstance(look.dash, str) else " ".join(f"{1.6 * d:g}" for d in look.dash[1])


def _entries(drawn: Sequence[Drawn]) -> list[tuple[str, Look]]:
    """The legend of several figures: what any of them tells apart by looks alone."""
    return list(dict.fromkeys(entry for one in drawn for entry in one.legend))


def _mean_marks(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """The marks of means in the drawings beside accuracies, as far as they are there."""
    scored = [line for line in lines if "accuracy" in line.values]
    known = [
        ("●", "mean of a line that no other line is shown to beat", [o.is_top for o in scored]),
        ("○", "mean of another line", [o.is_ranked and not o.is_top for o in scored]),
        ("◇", "mean of a line that was not compared with the others",
         [not o.is_ranked for o in scored]),
    ]  # fmt: skip
    return [(mark, meaning) for mark, meaning, there in known if any(there)]


def _has(data_sets: Sequence[DataSet]) -> dict[str, bool]:
    return {
        "curves": any(data.curves for data in data_sets),
        "tradeoff": any(data.tradeoff for data in data_sets),
        "steps": any(data.step_times for data in data_sets),
        "confusion": any(data.confusions for data in data_sets),
        "calibration": any(data.reliability for data in data_sets),
        "pairs": any(len(data.answered) > 1 for data in data_sets),
    }


def _sections(document: Document, has: dict[str, bool]) -> list[tuple[str, str]]:
    """Anchors and names of the sections that there are."""
    known: list[tuple[str, str, Any]] = [
        ("table", "Table", True), ("tuning", "Tuning", document.trials),
        ("curves", "Curves", has["curves"]),
        ("tradeoff", "Accuracy and time", has["tradeoff"]),
        ("steps", "Step times", has["steps"]), ("confusion", "Confusion", has["confusion"]),
        ("calibration", "Calibration", has["calibration"]),
        ("examples", "Disagreements", has["pairs"]),
        ("gates", "Gates", document.gates), ("runs", "Runs", True),
        ("origin", "How it was made", True),
    ]  # fmt: skip
    return [(key, name) for key, name, there in known if there]


def _title(document: Document) -> str:
    names = list(dict.fromkeys(data.lines[0].values["dataset"] for data in document.data_sets))
    if not names:
        return "Model comparison"
    if len(names) > 3:
        return f"Model comparison on {len(names)} data sets"
    return f"Model comparison on {', '.join(map(printable, names))}"


def _heading(document: Document) -> str:
    """Of the table: an ablation is a variant beside its parent."""
    is_ablation = any("vs_parent" in line.values for line in document.lines)
    return "Ablation table" if is_ablation else "Comparison"


def _summary(document: Document) -> str:
    if not document.runs:
        if document.is_chosen:
            return "No run meets the conditions."
        return "This store holds no runs."
    kinds = Counter(run.kind for run in document.runs)
    if not document.lines:
        only = _number(kinds["trial"], "trial")
        return f"No line of the table yet, only {only} of tuning. {_counts(document)}"
    trials = f" and {_number(kinds['trial'], 'trial')} of tuning" if kinds["trial"] else ""
    lines = _number(len(document.lines), "line")
    runs = _number(sum(len(line.rows) for line in document.lines), "run")
    seeds = {len(line.ok) for line in document.lines}
    count = seeds.pop() if len(seeds) == 1 else 0
    each = f" and {_number(count, 'seed')}" if count else ""
    model = "a model" if len(document.lines) == 1 else "each a model"
    return (
        f"{lines}, {model} with its hyper-parameters{each}, from {runs}{trials}. "
        f"{_others(len(document.in_no_line))}{_counts(document)}"
    )


def _others(count: int) -> str:
    """That there are runs which no line is made of, and why."""
    if not count:
        return ""
    they, be, their = ("it", "is", "its line") if count == 1 else ("they", "are", "their lines")
    return (
        f"{_number(count, 'more run')} {be} in no line: {they} {be} of other code, data or "
        f"tuning than the runs of {their}, or failed where an earlier one had ended well. "
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _counts(document: Document) -> str:
    """How the runs ended."""
    counts = Counter(run.status for run in document.runs)
    if set(counts) == {"ok"}:
        return "All of them ended well."
    order = sorted(counts, key=lambda status: (status != "ok", status))
    return ", ".join(f"{counts[status]} {status}" for status in order) + "."


def _findings(document: Document) -> list[str]:
    return list(filter(None, (finding(data.name, data.lines) for data in document.data_sets)))


def finding(name: str, lines: Sequence[Line]) -> str:
    """In a sentence, which line is best, and what is known of the others beside it.

    Args:
      name: of the data set.
      lines: of it; "" if none of them has an accuracy.
    """
    scored = [line for line in lines if "accuracy" in line.values]
    if not scored:
        return ""
    best = max(scored, key=lambda line: (line.values["accuracy"], _verdict(line) == "best"))
    rest = [line for line in scored if line is not best]
    better, tied, worse = (
        [one for one in rest if _verdict(one) == word] for word in (BETTER, "tied", "worse")
    )
    unknown = [line for line in rest if line not in (*tied, *worse, *better)]
    told = [f"{name}: {best.model} has the highest accuracy, {best.values['accuracy']:.4f}"]
    if better:
        told.append(f"on common seeds significantly better than it: {_names(better)}")
    if tied:
        told.append(f"not separable from it: {_names(tied)}")
    if worse:
        told.append(_how_many(len(worse), len(rest)))
    if single := [line for line in (*better, *worse) if _is_of_one_seed(line)]:
        told.append(f"tested on one common seed, so of these trained models only: "
                    f"{_names(single)}")  # fmt: skip
    if unknown:
        told.append(f"not compared with it (no stored answers or no common seed): "
                    f"{_names(unknown)}")  # fmt: skip
    return "; ".join(told) + "."


def _verdict(line: Line) -> str:
    """What is known of a line beside the best one of its data set, in one word."""
    return line.values.get("vs_best", "not compared")


def _is_of_one_seed(line: Line) -> bool:
    """Whether that rests on one common seed, and other seeds may turn it around."""
    return line.values.get("vs_best_over") == intervals.EXAMPLES


def _how_many(worse: int, others: int) -> str:
    if worse == others:
        return (
            "the other line is significantly worse"
            if others == 1
            else ("every other line is significantly worse")
        )
    return (
        "1 line is significantly worse"
        if worse == 1
        else (f"{worse} lines are significantly worse")
    )


def _names(lines: Sequence[Line]) -> str:
    shown = [line.model for line in lines[:6]]
    more = f" and {len(lines) - 6} more" if len(lines) > 6 else ""
    return ", ".join(shown) + more
