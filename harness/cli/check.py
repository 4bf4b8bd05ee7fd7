"""`harness check`: does a plugin do what its contract says?"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import format_option, output_option, plugin_option, write_output
from harness.errors import UsageError, counted, did_you_mean

if TYPE_CHECKING:
    from harness.checks.check import Outcome
    from harness.checks.targets import Target
    from harness.entries import Failure


@click.command("check")
@click.argument("names", metavar="[NAME|PATH.py]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every entry of every plugin.")
@click.option(
    "-d", "--dataset", default="digits", show_default=True, metavar="SELECTION",
    help="What models are tried on; made-up data where one does not serve it.",
)  # fmt: skip
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check. Repeatable.")
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
@plugin_option()
@format_option("text", "json")
@output_option()
def check_command(
    names: tuple[str, ...],
    everything: bool,
    dataset: str,
    only: tuple[str, ...],
    verbose: bool,
    plugins: tuple[str, ...],
    format_: str,
    output: str | None,
) -> int:
    """Check that plugins keep their contract, one named check a line.

    NAME is a selection of models or data sets (`mean_pool`, `transformer:*`), PATH.py a
    plugin file. Exits with 3 if a check failed.
    """
    if bool(names) == everything:
        raise UsageError("check: give names or paths of plugin files, or --all")
    from harness.checks import perform, targets
    from harness.index import open_registry

    _known_checks(only)
    files = [name for name in names if targets.is_file(name)]
    known = open_registry([*files, *plugins])
    found, failures = targets.find(names, known, dataset=dataset)
    found = _with_checks(found, only)
    tell = _Teller(format_, output, verbose)
    for failure in failures:
        tell.failed(failure)
    for target in found:
        tell.heading(target)
        perform.perform(target, only, told=lambda one, t=target: tell.outcome(t, one))
    return tell.end()


def _known_checks(only: tuple[str, ...]) -> None:
    from harness.checks import names

    for name in only:
        if name not in names.ALL:
            near = did_you_mean(name, names.ALL, what="checks")
            raise UsageError(f"--only {name!r}: no such check; {near}")


def _with_checks(found: list[Target], only: tuple[str, ...]) -> list[Target]:
    """Those that have one of the checks that are wanted.

    Raises:
      UsageError: none has.
    """
    from harness.checks import names

    left = [target for target in found if not only or set(only) & set(names.OF[target.kind])]
    if found and not left:
        kind = found[0].kind
        raise UsageError(
            f"--only {', '.join(only)}: nothing that is named has this check; those of a "
            f"{kind}: {', '.join(names.OF[kind])}"
        )
    return left


class _Teller:
    """Says outcomes as they come, or all at the end as JSON."""

    def __init__(self, format_: str, output: str | None, verbose: bool) -> None:
        self.output, self.verbose = output, verbose
        self.live = format_ == "text" and output is None
        self.format = format_
        self.lines: list[str] = []
        self.records: list[dict[str, Any]] = []

    def say(self, line: str) -> None:
        self.lines.append(line)
        if self.live:
            click.echo(line)

    def failed(self, failure: Failure) -> None:
        words = f"{failure.error_type}: {failure.message}"
        self.say(f"{failure.source.name} ({failure.source.place})")
        status = "fail" if failure.status == "failed" else "unavailable"
        self.say(f"  {status:<12}{'imports':<20}{'':>8}  {words}")
        if self.verbose:
            self.say(failure.traceback.rstrip())
        self.records.append(
            {"kind": "plugin", "name": failure.source.name, "check": "imports",
             "status": status, "seconds": 0.0, "words": words, "plugin": failure.source.label,
             "traceback": failure.traceback}
        )  # fmt: skip

    def heading(self, target: Target) -> None:
        self.say(f"{target.kind} {target.choice.label} ({target.choice.source.label})")

    def outcome(self, target: Target, found: Outcome) -> None:
        time = f"{found.seconds:.1f} s" if found.seconds else ""
        self.say(f"  {found.status:<12}{found.check:<20}{time:>8}  {found.words}".rstrip())
        if self.verbose and found.traceback:
            self.say(found.traceback.rstrip())
        self.records.append(
            {"kind": target.kind, "name": target.choice.label,
             "plugin": target.choice.source.label, **vars(found)}
        )  # fmt: skip

    def end(self) -> int:
        count = Counter(record["status"] for record in self.records)
        told = ", ".join(f"{number} {status}" for status, number in count.items())
        self.say(f"{counted(len(self.records), 'check')}: {told}")
        if self.format == "json":
            write_output(json.dumps(self.records, indent=2), self.output)
        elif self.output is not None:
            write_output("\n".join(self.lines), self.output)
        return 3 if count["fail"] else 0
