"""`python -m harness` is the command `harness`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command; Ctrl-C ends it in one line also while it is being imported."""
    try:
        from harness.cli import main as run
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
