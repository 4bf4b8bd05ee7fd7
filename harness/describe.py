"""The child process that fills the index: `python -m harness.describe`.

It reads the sources as JSON from standard input, imports each, and prints one line of
JSON a source as soon as it is known.
"""

from __future__ import annotations

import json
import os
import sys

from harness import plugins
from harness.entries import Failure, Source, entry_to_json
from harness.tie import take_over


def main() -> None:
    # whatever plugins print goes to stderr; the answers have the real stdout to themselves
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    manager = plugins.new_manager()
    for values in json.loads(take_over(sys.argv[1:])):
        result = plugins.load(manager, Source(**values))
        if isinstance(result, Failure):
            failure = {k: v for k, v in vars(result).items() if k != "source"}
            print(json.dumps({"failure": failure}), file=answers, flush=True)
        else:
            entries = [entry_to_json(entry) for entry in result]
            print(json.dumps({"entries": entries}), file=answers, flush=True)


if __name__ == "__main__":
    main()
