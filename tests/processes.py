"""The processes of this machine, as Linux tells of them."""

from __future__ import annotations

from pathlib import Path


def commands() -> list[str]:
    """The command lines of all processes that are alive."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            pass
    return found


def children(pid: int | str = "self") -> list[int]:
    """The processes that a process has started and that are alive."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def command(pid: int) -> str:
    """A process's command line, empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def workers() -> list[str]:
    """The command lines of the worker processes that this one has started."""
    return [line for line in map(command, children()) if "-m harness.worker" in line]
