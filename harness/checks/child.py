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
from harness.choices import Choice, choice_from_json
from harness.entries import Entry, Kind, Source
from harness.errors import (
    ContractError,
    HarnessError,
    Unavailable,
    Unsupported,
    did_you_mean,
    first_line,
    pip_line,
)
from harness.files import without_downloads
from harness.specs import Task
from harness.tie import take_over

SERVES_NOTHING = "expected it to serve some of these; name data that it serves with -d"


def main() -> None:
    """Answers the question on standard input."""
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
    choice, wanted = choice_from_json(asked["choice"]), asked["checks"]
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
      ContractError: it is exempt from a check that there is not.
    """
    from harness.checks import catalogue, names

    for name in entry.exempt:
        if name not in names.ALL:
            near = did_you_mean(name, names.ALL, what="checks")
            raise ContractError(
                f"{entry.name!r} is exempt from {name!r}, which is no check; {near}"
            )
    if entry.kind == "dataset":
        return catalogue.DATASET, data_subject(entry, choice, asked)
    return catalogue.MODEL, model_subject(entry, choice, asked)


def model_subject(entry: Entry, choice: Choice, asked: Mapping[str, Any]) -> Any:
    """The model on the data set that is asked for, or on made-up data.

    Raises:
      Unavailable: a package or files of the data set are absent.
      Unsupported: the model serves no data that there is.
    """
    dataset = choice_from_json(asked["dataset"])
    from harness.checks.subject import served

    def real() -> Any:
        data = loaded("dataset", dataset).build()(**dataset.params)
        return dataset.label, data, task_named(data.spec.task, asked)

    return served(entry.build(), choice.params, real)


def data_subject(entry: Entry, choice: Choice, asked: Mapping[str, Any]) -> Any:
    """The data set, which is loaded when a check first looks at it."""
    from harness.checks.data import DataSubject
    from harness.checks.perform import fingerprint_elsewhere

    return DataSubject(
        entry.build(), choice.params, entry.variants, lambda: fingerprint_elsewhere(asked),
        lambda name: task_named(name, asked),
    )  # fmt: skip


def task_named(name: str, asked: Mapping[str, Any]) -> Task:
    """The task that a data set's spec names.

    Raises:
      ContractError: no plugin registers it.
    """
    from harness.tasks import CLASSIFICATION

    if name == "classification":
        return CLASSIFICATION
    if name not in asked["tasks"]:
        near = did_you_mean(name, ["classification", *asked["tasks"]], what="tasks")
        raise ContractError(f"DataSpec.task is {name!r}; {near}")
    return registry.load([Source(**asked["tasks"][name])]).get("task", name).build()()


def fingerprint(asked: Mapping[str, Any]) -> str:
    """The fingerprint of the data set that is asked for, loaded in this process."""
    choice = choice_from_json(asked["choice"])
    return loaded("dataset", choice).build()(**choice.params).spec.fingerprint


def loaded(kind: Kind, choice: Choice) -> Entry:
    """A choice's entry, its plugin imported in this process.

    Raises:
      Unavailable: a package that the entry or its plugin needs is absent, or the plugin is
        made for another version of the harness.
      UnknownName: the plugin does not register it, or raised while it was imported.
    """
    known = registry.load([choice.source])
    for failure in known.failures:
        if failure.status == "unavailable":
            do = f"; {pip_line([failure.missing])}" if failure.missing else ""
            raise Unavailable(f"{kind} {choice.name!r}: {failure.message}{do}")
    entry = known.get(kind, choice.name)
    missing = registry.missing_requirements(entry)
    if missing:
        raise Unavailable(
            f"{kind} {choice.name!r} needs {', '.join(missing)}; {pip_line(missing)}"
        )
    return entry


if __name__ == "__main__":
    main()
