"""`harness gate`: is the candidate slower than the base?"""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import check_output, plugin_option, store_option, store_url
from harness.errors import StoreError, UsageError, counted

if TYPE_CHECKING:
    from harness.gate.deterministic import Question
    from harness.gate.report import Report
    from harness.gate.side import Side

PROFILES = ("default", "strict")


@click.command("gate")
@click.option("--base", metavar="REV", help="The commit, branch or tag to compare with.")
@click.option("--head", metavar="REV", help="The candidate.  [default: the working tree]")
@click.option("--base-env", metavar="PYTHON", help="An environment in place of a commit.")
@click.option("--head-env", metavar="PYTHON", help="The candidate's environment.")
@click.option(
    "-d", "--dataset", "datasets", multiple=True, metavar="SELECTION",
    help="A data set. Repeatable.  [default: digits]",
)  # fmt: skip
@click.option(
    "-m", "--model", "models", multiple=True, metavar="SELECTION",
    help="A model. Repeatable.  [default: every built-in model]",
)  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Examples a training step.  [default: 128]"
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N examples."
)
@click.option("--deterministic", is_flag=True, help="Compare programs only; no timing.")
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="default",
    show_default=True,
    help="Test against 1 % and rule out 5 %, or (strict) against 0 % and 3 %.",
)
@click.option(
    "--budget", type=click.FloatRange(min=0, min_open=True), default=20.0, show_default=True,
    metavar="MINUTES", help="No further pair is begun after this.",
)  # fmt: skip
@click.option(
    "--in-turn", is_flag=True,
    help="Time one side at a time, each with all cores, where both could run at once.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the orders.")
@click.option(
    "--acknowledge", metavar="REASON",
    help="Write what failed down as wanted, with a reason; commit that file.",
)  # fmt: skip
@click.option(
    "--output", "-o", "outputs", multiple=True, type=click.Path(path_type=Path),
    metavar="FILE", help="Also write *.json, *.xml (JUnit), *.md or *.parquet. Repeatable.",
)  # fmt: skip
@plugin_option()
@store_option()
def gate_command(**options: Any) -> int:
    """Compare the step time of two commits, or of two environments, on this machine.

    First what both compile to, without a clock; then, where that leaves it open, fresh
    pairs of processes. Exit codes: 0 pass, 10 slower, 11 a program changed for the
    worse, 12 inconclusive, 20 the measurement is invalid.
    """
    from harness.gate import acknowledged, export, perform
    from harness.gate.report import Settings

    if options["acknowledge"] is not None and not options["acknowledge"].strip():
        raise UsageError("--acknowledge is empty; say why the change is wanted")
    if not math.isfinite(options["budget"]):
        raise UsageError(f"--budget {options['budget']}: expected a number of minutes")
    for path in options["outputs"]:
        export.check(path)
        check_output(str(path))
    start = time.monotonic()
    with ExitStack() as stack:
        base, head = _sides(options, stack)
        question = _question(options)
        file = _acknowledgements(head)
        report = perform.gate(
            base, head, question, wanted=acknowledged.read(file), note=_note,
            settings=Settings(
                profile=options["profile"], budget_s=60 * options["budget"],
                deterministic=options["deterministic"], in_turn=options["in_turn"],
                seed=options["seed"],
            ),
        )  # fmt: skip
    report = replace(report, seconds=time.monotonic() - start)  # environments and all
    _tell(report, options)
    if options["acknowledge"] is None:
        return report.verdict.value
    return _acknowledge(report, file, options["acknowledge"])


def _tell(report: Report, options: dict[str, Any]) -> None:
    """Everywhere that was asked for; what fails there takes nothing from the verdict."""
    from harness.gate import export, render

    print(render.to_text(report, "text"))
    for path in options["outputs"]:
        try:
            export.write(report, path)
        except UsageError as error:
            _note(f"note: {error}")
    _summarise(render.to_text(report, "markdown"))
    _store(export.stored(report), store_url(options["store"]))


def _acknowledgements(head: Side) -> Path:
    """The file lies at the top of the repository, wherever in it the command is given."""
    from harness.gate import acknowledged

    return (head.origin or Path.cwd()) / acknowledged.NAME


def _acknowledge(report: Report, file: Path, reason: str) -> int:
    """Writes down what failed; the exit code is that of a gate which lets it pass."""
    from harness.gate import acknowledged

    findings = [f for cell in report.cells for f in cell.outcome.findings]
    added = acknowledged.write(file, findings, reason=reason)
    for finding in added:
        _note(f"acknowledged: {finding.cell}: {finding.words}")
    _note(
        f"{counted(len(added), 'change')} acknowledged in {file}: commit it, and the next "
        "gate lets what failed here pass" if added
        else "nothing to acknowledge: no change failed that is not acknowledged already"
    )  # fmt: skip
    left = [f for f in findings if f.level == "fail" and f.signal in acknowledged.NEVER]
    wanted = report.verdict.name in ("CHANGED", "SLOWER") and not left
    return 0 if wanted else report.verdict.value


def _store(cells: list[dict[str, Any]], url: str) -> None:
    """Keeps the history; a store that fails takes nothing from the verdict."""
    from harness.store import open_store

    try:
        with open_store(url) as store:
            store.add_gate(cells)
    except StoreError as error:
        _note(f"note: {error}; this gate is not in the history")


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _summarise(markdown: str) -> None:
    """Adds the report to the page of a GitHub job, where there is one."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(markdown + "\n")
    except OSError as error:
        _note(f"note: GITHUB_STEP_SUMMARY {path} cannot be written ({error.strerror})")


def _sides(options: dict[str, Any], stack: ExitStack) -> tuple[Side, Side]:
    from harness.gate import environments as pythons
    from harness.gate import trees

    revisions, environments = options["base"], (options["base_env"], options["head_env"])
    if all(environments) and not revisions and not options["head"]:
        return pythons.from_environments(*environments)
    if not revisions:
        raise UsageError(
            "give --base REV to compare with a commit, or --base-env and --head-env to "
            "compare two environments"
        )
    base, head = stack.enter_context(
        trees.from_git(Path.cwd(), revisions, options["head"], note=_note)
    )
    return pythons.equipped(base, head, environments, stack, note=_note)


def _question(options: dict[str, Any]) -> Question:
    from harness.choices import resolve
    from harness.gate import trees
    from harness.gate.deterministic import Question
    from harness.index import open_registry

    known = open_registry(options["plugins"])
    models = options["models"] or tuple(
        name for name in known.names("model")
        if known.get("model", name).source.origin == "built-in"
    )  # fmt: skip
    cells = [
        (d.label, m.label)
        for dataset in options["datasets"] or ("digits",)
        for d in resolve("dataset", dataset, known)
        for model in models
        for m in resolve("model", model, known)
    ]
    recipe = {k: options[k] for k in ("batch_size", "limit") if options[k] is not None}
    here = Path.cwd()
    return Question(
        cells, lambda side: trees.plugin_files(side, here, options["plugins"]), recipe
    )
