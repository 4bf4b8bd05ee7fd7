"""The processes of a pair, as the driver sees them: orders in, answers out."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.allocator import worker_environment
from harness.children import timer
from harness.gate import probe, timed
from harness.gate.side import Side
from harness.worker import compilation_cache

TIMED, PROBE = Path(timed.__file__), Path(probe.__file__)
# seconds that a worker may take for one answer
PATIENCE_S = 600.0


class Broken(Exception):
    """A pair could not be measured: this says nothing about speed."""


@dataclass
class Worker:
    """A process of one side."""

    side: str
    process: subprocess.Popen[str]
    errors: IO[str]

    def ask(self, **order: Any) -> dict[str, Any]:
        """Sends one order and waits for its answer.

        Raises:
          Broken: it died, takes longer than `PATIENCE_S`, or answers with an error.
        """
        self.send(**order)
        return self.answer()

    def send(self, **order: Any) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # that it died is said by its missing answer
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        with _patience(self.process) as late:
            line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            how = f"gave no answer for {PATIENCE_S:g} s" if late.is_set() else f"died ({code})"
            raise Broken(" ".join([f"the {self.side}'s worker {how}", *self.last_words()]))
        values = json.loads(line)
        if "error" in values:
            raise Broken(f"the {self.side}'s worker failed: {values['error']}")
        return values

    def last_words(self) -> list[str]:
        """The last line that it wrote on standard error, if there is one."""
        self.errors.seek(0)
        return [line.strip() for line in self.errors if line.strip()][-1:]


def ask_all(workers: Mapping[str, Worker], **order: Any) -> dict[str, dict[str, Any]]:
    """Sends one order to all of them at once; their answers by side."""
    for worker in workers.values():
        worker.send(**order)
    return {side: worker.answer() for side, worker in workers.items()}


@contextmanager
def _patience(process: subprocess.Popen[str]) -> Iterator[threading.Event]:
    """Kills a process that keeps the block waiting; whether it had to is in the event."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    with timer(PATIENCE_S, give_up):
        yield late


@contextmanager
def started(side: Side, question: Mapping[str, Any]) -> Iterator[Worker]:
    """A worker of a side that has its question; it ends with the context."""
    # memory as a run's worker has it; compiled once for all pairs, but laid out anew in each
    environment = {**compilation_cache(), **worker_environment(side.environment())}
    errors = tempfile.TemporaryFile("w+", errors="replace")
    process = subprocess.Popen(
        [side.python, "-P", str(TIMED)], text=True, env=environment, cwd=side.folder,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
    )  # fmt: skip
    worker = Worker(side.name, process, errors)
    worker.send(**question, **side.question(), probe=str(PROBE))
    try:
        yield worker
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, errors):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
