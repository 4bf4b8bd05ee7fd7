"""What data a data set would give now, and on which device, asked of a process of its own.

A stored row stands for a planned run only if it was measured on the same data and kind of
device. Loading a data set imports its plugin, and a device JAX, so a child does it:
`python -m harness.fingerprints` reads data-set choices as JSON and prints the device's kind,
then one line of JSON for each choice, null where it fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from harness import machine, registry
from harness.children import ask
from harness.choices import Choice
from harness.entries import Source
from harness.progress import notes_to, report_to
from harness.tie import take_over

# seconds that a child may take to load the data sets it is given
PATIENCE = 900.0


@dataclass(frozen=True)
class Now:
    """What a run would be measured on if it were performed now."""

    fingerprint: str
    device_kind: str


def now_of(datasets: Sequence[Choice]) -> list[Now | None]:
    """What each data set is now, None for one that cannot be loaded.

    One child looks at them all; behind a data set during which it dies another goes on.
    """
    found: list[Now | None] = []
    while len(found) < len(datasets):
        said = _ask(datasets[len(found) :])
        found += [*said, None][: len(datasets) - len(found)]
    return found


def _ask(datasets: Sequence[Choice]) -> list[Now | None]:
    """What a child said, up to the data set during which it died or took too long."""
    asked = json.dumps([asdict(choice) for choice in datasets])
    answer = ask("harness.fingerprints", asked, patience_s=PATIENCE, stderr=subprocess.DEVNULL)
    lines = [json.loads(line) for line in answer.lines]
    if not lines:
        return []
    device, *prints = lines
    return [None if found is None else Now(found, device) for found in prints]


def fingerprint(choice: Choice) -> str | None:
    """Loads one data set in this process and returns its fingerprint."""
    loaded = registry.load([choice.source])
    if ("dataset", choice.name) not in loaded.entries:
        return None
    try:
        with notes_to(lambda text: None), report_to(lambda what, done, total: None):
            return loaded.get("dataset", choice.name).build()(**choice.params).spec.fingerprint
    except (Exception, SystemExit):  # the run itself will say what is wrong
        return None


def main() -> None:
    # what a plugin prints must not stand between the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = take_over(sys.argv[1:])
    print(json.dumps(machine.devices()["device_kind"]), file=answers, flush=True)
    for values in json.loads(asked):
        choice = Choice(**{**values, "source": Source(**values["source"])})
        print(json.dumps(fingerprint(choice)), file=answers, flush=True)


if __name__ == "__main__":
    main()
