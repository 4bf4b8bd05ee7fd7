"""A report as text for a terminal and as markdown for a pull request."""

from __future__ import annotations

import math
from collections.abc import Mapping

import tabulate

from harness.gate.report import Report
from harness.gate.signals import CellSignals
from harness.gate.statistics import Estimate
from harness.gate.verdict import CellVerdict, Verdict
from harness.machine import summary

WORDS = {
    Verdict.PASS: "PASS", Verdict.SLOWER: "FAIL: slower", Verdict.CHANGED: "FAIL: changed",
    Verdict.INCONCLUSIVE: "INCONCLUSIVE", Verdict.INVALID: "INVALID",
}  # fmt: skip
STYLES = {"text": "simple", "markdown": "pipe"}
HEADINGS = (
    "cell", "base ms", "head ms", "ratio", "95 % interval", "pairs", "visible", "program",
    "FLOPs", "bytes", "temporary", "verdict",
)  # fmt: skip
NUMBERS = ("flops", "bytes", "temp_bytes")


def to_text(report: Report, format: str) -> str:
    """The whole report; the verdict stands first."""
    lines = [_title(report, format), "", _table(report, format), ""]
    mark = "- " if format == "markdown" else ""
    for cell in report.cells:
        lines.append(f"{mark}{cell.cell}: {cell.reason}")
        lines += [f"  {mark}{words}" for words in _program_changes(cell)]
    sides = f"{_bold('base', format)} {report.base}, {_bold('head', format)} {report.head}"
    took = f"{report.seconds / 60:.1f} min"
    lines += ["", f"{sides}; {_how(report)}; {summary(report.place)}; {took}"]
    return "\n".join(lines)


def _program_changes(cell: CellVerdict) -> list[str]:
    """What moved in the programs, those things first that fail."""
    order = ("fail", "warn", "note")
    found = sorted(cell.outcome.findings, key=lambda finding: order.index(finding.level))
    return [finding.words for finding in found if finding.words not in cell.reason]


def _title(report: Report, format: str) -> str:
    text = WORDS[report.verdict]
    text += f": {report.reason}" if report.reason else ""
    return f"### Step-time gate: {text}" if format == "markdown" else text


def _how(report: Report) -> str:
    if not report.pairs:
        return "no timing"
    return (
        f"{len(report.pairs)} pairs, {report.way}, profile {report.profile}, seed {report.seed}"
    )


def _bold(text: str, format: str) -> str:
    return f"**{text}**" if format == "markdown" else text


def _table(report: Report, format: str) -> str:
    rows = [line(cell) for cell in report.cells]
    kept = [
        name for i, name in enumerate(HEADINGS) if any(row[i] != "-" for row in rows)
    ]  # columns that say something
    cells = [[row[HEADINGS.index(name)] for name in kept] for row in rows]
    return tabulate.tabulate(
        cells, headers=kept, tablefmt=STYLES[format], disable_numparse=True
    )


def line(cell: CellVerdict) -> list[str]:
    """A cell's texts, one for each heading; "-" where there is nothing to say."""
    about = cell.estimate
    base, head = cell.outcome.base, cell.outcome.head
    timed = ["-"] * 6
    if about is not None:
        timed = [
            f"{cell.base_ms:.3g}", f"{cell.head_ms:.3g}", f"{about.ratio:.3f}",
            _interval(about), str(cell.pairs),
            f"{about.visible:.1%}" if math.isfinite(about.visible) else "-",
        ]  # fmt: skip
    program = "changed" if _hashes(base) != _hashes(head) else "equal"
    program = program if base.programs and head.programs else "-"
    deltas = [_delta(base, head, name) for name in NUMBERS]
    return [cell.cell, *timed, program, *deltas, WORDS[cell.verdict]]


def _interval(about: Estimate) -> str:
    return f"{about.low:.3f} to {about.high:.3f}" if math.isfinite(about.high) else "-"


def _hashes(side: CellSignals) -> Mapping[str, str]:
    return {name: program.hlo_hash for name, program in side.programs.items()}


def _delta(base: CellSignals, head: CellSignals, name: str) -> str:
    """The change of a number of the training program, as a share."""
    try:
        before = base.programs["train"].numbers[name]
        after = head.programs["train"].numbers[name]
    except KeyError:
        return "-"
    if before == after:
        return "="
    return f"{(after - before) / before:+.2%}" if before else f"+{after:,.0f}"
