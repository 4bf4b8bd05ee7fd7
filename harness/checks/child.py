"""The process that checks one entry: `python -m harness.checks.child`.

It is asked one line of JSON and answers one line an outcome, as soon as it is known.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from harness import registry
from harness.checks.check import Outcome, outcome, to_json
from harness.entries import Entry, Kind, Source
from harness.errors import Unsupported
from harness.plan import Choice
from harness.tie import take_over

SERVES_NOTHING = "expected it to serve some of these; name data that it serves with -d"


def main() -> None:
    # whatever a plugin prints goes to stderr; the answers have the real stdout to themselves
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = json.loads(take_over(sys.argv[1:]))
    if asked["checks"] is None:
        print(json.dumps(fingerprint(asked)), file=answers, flush=True)
        return
    for found in outcomes(asked):
        print(json.dumps(to_json(found)), file=answers, flush=True)


def outcomes(asked: Mapping[str, Any]) -> Iterator[Outcome]:
    """What comes of each check that is asked for."""
    choice, wanted = choice_from(asked["choice"]), asked["checks"]
    entry = loaded(asked["kind"], choice)
    try:
        checks, subject = looked_at(entry, choice, asked)
    except Unsupported as refused:
        yield Outcome(wanted[0], "fail", words=f"{refused}; {SERVES_NOTHING}")
        for name in wanted[1:]:
            yield Outcome(name, "unavailable", words="there are no data to try it on")
        return
    failed = set(asked["failed"])
    for check in checks:
        if check.name in wanted:
            found = outcome(check, subject, exempt=entry.exempt, failed=failed)
            if found.status in ("fail", "unavailable"):
                failed.add(check.name)
            yield found


def looked_at(entry: Entry, choice: Choice, asked: Mapping[str, Any]) -> tuple[Any, Any]:
    """The checks of its kind, and what they look at."""
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
