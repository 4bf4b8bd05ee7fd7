"""The process that checks one entry: `python -m harness.checks.child`.

It is asked one line of JSON. It answers "ready" once it has loaded what is checked, one line
an outcome as soon as that is known, and "done" at its end: whoever asked can tell a death
before the first check from one within a check, and both from the end.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness import registry
from harness.checks.check import Outcome, outcome, to_json
from harness.entries import Entry, Kind, Source
from harness.errors import HarnessError, Unavailable, Unsupported, first_line
from harness.files import without_downloads
from harness.plan import Choice
from harness.tie import take_over

SERVES_NOTHING = "expected it to serve some of these; name data that it serves with -d"


def main() -> None:
    # whatever a plugin prints goes to stderr; the answers have the real stdout to themselves
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = json.loads(take_over(sys.argv[1:]))

    def say(line: Any) -> None:
        print(json.dumps(line), file=answers, flush=True)

    with without_downloads():
        if asked["checks"] is None:
            say(fingerprint(asked))
            return
        for found in outcomes(asked, ready=lambda: say({"ready": True})):
            say(to_json(found))
    say({"done": True})


def outcomes(asked: Mapping[str, Any], *, ready: Callable[[], None]) -> Iterator[Outcome]:
    """What comes of each check that is asked for; of the first alone if nothing loads.

    Args:
      ready: called when all is loaded and the first check begins.
    """
    choice, wanted = choice_from(asked["choice"]), asked["checks"]
    try:
        entry = loaded(asked["kind"], choice)
        checks, subject = looked_at(entry, choice, asked)
    except (Exception, SystemExit) as error:
        yield not_loaded(wanted[0], error)
        return
    ready()
    failed = set(asked["failed"])
    for check in checks:
        if check.name in wanted:
            found = outcome(check, subject, exempt=entry.exempt, failed=failed)
            if found.status in ("fail", "unavailable"):
                failed.add(check.name)
            yield found


def not_loaded(check: str, error: BaseException) -> Outcome:
    """What a check comes to whose entry or data could not be loaded."""
    if isinstance(error, Unavailable):
        return Outcome(check, "unavailable", words=str(error))
    if isinstance(error, Unsupported):
        return Outcome(check, "fail", words=f"{error}; {SERVES_NOTHING}")
    words = str(error) if isinstance(error, HarnessError) else first_line(error)
    trace = "".join(traceback.format_exception(error))
    return Outcome(
        check, "fail", words=f"{type(error).__name__}: {words}; nothing was checked",
        traceback=trace,
    )  # fmt: skip


def looked_at(entry: Entry, choice: Choice, asked: Mapping[str, Any]) -> tuple[Any, Any]:
    """The checks of its kind, and what they look at.

    Raises:
      Unavailable: files of the data that it is tried on are absent.
      Unsupported: a model serves no data that there is.
    """
    from harness.checks import catalogue

    if entry.kind == "dataset":
        return catalogue.DATASET, data_subject(entry, choice, asked)
    return catalogue.MODEL, model_subject(entry, choice, choice_from(asked["dataset"]))


def model_subject(entry: Entry, choice: Choice, dataset: Choice) -> Any:
    from harness.checks.subject import served

    def real() -> Any:
        return dataset.label, loaded("dataset", dataset).build()(**dataset.params)

    return served(entry.build(), choice.params, real)


def data_subject(entry: Entry, choice: Choice, asked: Mapping[str, Any]) -> Any:
    from harness.checks.data import DataSubject
    from harness.checks.perform import fingerprint_elsewhere

    return DataSubject(
        entry.build(), choice.params, entry.variants, lambda: fingerprint_elsewhere(asked)
    )


def fingerprint(asked: Mapping[str, Any]) -> str:
    choice = choice_from(asked["choice"])
    return loaded("dataset", choice).build()(**choice.params).spec.fingerprint


def choice_from(values: Mapping[str, Any]) -> Choice:
    return Choice(**{**values, "source": Source(**values["source"])})


def loaded(kind: Kind, choice: Choice) -> Entry:
    return registry.load([choice.source]).get(kind, choice.name)


if __name__ == "__main__":
    main()
