"""The process of one arm: a job as JSON on standard input, an answer as JSON at the end."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict


def main() -> None:
    from benchmarks.peers.arms import BY_NAME, PARAM_COUNTS
    from benchmarks.peers.job import Job

    job = Job(**json.load(sys.stdin))
    answer = importlib.import_module(f"benchmarks.peers.{BY_NAME[job.arm].module}").run(job)
    if answer.param_count != PARAM_COUNTS[job.model]:
        sys.exit(
            f"{job.arm} built {answer.param_count:,} parameters for {job.model}; "
            f"expected {PARAM_COUNTS[job.model]:,}"
        )
    print(json.dumps(asdict(answer)))


# Grain's workers import this file again
if __name__ == "__main__":
    from absl import flags

    # a DataLoader with workers reads absl's flags, which no notebook parsed for us
    flags.FLAGS(sys.argv[:1])
    main()
