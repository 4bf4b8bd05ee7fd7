"""Keeps results while the store does not take them.

A full disk, a read-only file or a database that has gone for a minute costs no row: what
the store refuses waits in a folder of the cache, a file a run, and arrives with the next
result, at the end of the plan, or with the next command that writes to the same store.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock

from harness.errors import AlreadyStored, DataError, StoreError, counted
from harness.paths import cache_dir, write_atomically
from harness.rows import Result
from harness.store import Store
from harness.transfer import read_file, to_record

# seconds that the end of a plan waits for a store that has gone
PATIENCE_S = 60.0
PAUSE_S = 2.0
# a store that takes long to refuse is not asked again at once: it costs the plan a fifth
PAUSES = 4.0


class Spool:
    """Adds results to a store, now or later.

    Args:
      note: told in one line when results begin to wait, and when they have arrived.
    """

    def __init__(self, store: Store, *, note: Callable[[str], None]) -> None:
        name = hashlib.sha256(store.name.encode()).hexdigest()[:16]
        self.folder = cache_dir() / "spool" / name
        self._store = store
        self._note = note
        self._held: list[Result] = []  # what even the folder did not take
        self._reason = ""
        self._down = False  # it took nothing when it was last asked
        self._ask_at = 0.0
        self._note_earlier()

    def _note_earlier(self) -> None:
        waiting = self._files()
        if waiting:
            self._note(f"{counted(len(waiting), 'row')} of earlier runs wait in {self.folder}")
            self.flush()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def save(self, result: Result) -> None:
        """Adds a result, or lets it wait; only a run that is stored already is an error."""
        if time.monotonic() >= self._ask_at:
            self.flush()
        if self._down:
            self._wait(result, self._reason)
            return
        asked = time.monotonic()
        try:
            self._store.add(result)
        except AlreadyStored:
            raise
        except StoreError as error:
            self._refused(asked, taken=0)
            self._wait(result, str(error))

    def _refused(self, asked: float, *, taken: int) -> None:
        """The store has refused since `asked`; when it is asked again."""
        now = time.monotonic()
        self._down = taken == 0
        self._ask_at = now + PAUSES * (now - asked)

    def _wait(self, result: Result, reason: str) -> None:
        path = self.folder / f"{result.row['run_id']}.jsonl"
        try:
            write_atomically(path, json.dumps(to_record(result)).encode() + b"\n")
        except OSError:
            self._held.append(result)
        if not self._reason:
            self._note(f"{reason}; until then rows wait in {self.folder}")
        self._reason = reason

    def flush(self) -> bool:
        """Adds what waits; whether nothing waits any more."""
        if not self._held and not self._files():
            self._down = False
            return True
        asked, before = time.monotonic(), len(self._held) + len(self._files())
        refused = self._flush(map(self._held_taker, list(self._held)))
        if not refused and self._files():
            try:
                with FileLock(self.folder / "lock"):
                    refused = self._flush(map(self._taker, self._files()))
            except OSError as error:  # a full disk has no room for a lock either
                refused = [StoreError(f"{self.folder} cannot be written ({error.strerror})")]
        if refused:
            self._refused(asked, taken=before - len(self._held) - len(self._files()))
            self._reason = self._reason or str(refused[-1])
            return False
        self._note(f"the rows that waited are in store {self._store.name}")
        self._reason, self._down = "", False
        return True

    def _flush(self, takers: Iterable[Callable[[], None]]) -> list[StoreError]:
        """Why the store refused what still waits; two refusals are enough to know."""
        refused: list[StoreError] = []
        for take in takers:
            try:
                take()
            except StoreError as error:
                refused.append(error)
                if len(refused) == 2:
                    break
        return refused

    def _held_taker(self, result: Result) -> Callable[[], None]:
        def take() -> None:
            self._add(result)
            self._held.remove(result)

        return take

    def _taker(self, path: Path) -> Callable[[], None]:
        def take() -> None:
            try:
                for result in read_file(path):
                    self._add(result)
            except DataError as error:
                path.rename(path.with_suffix(".damaged"))
                self._note(f"{error}; set aside")
                return
            path.unlink(missing_ok=True)

        return take

    def _add(self, result: Result) -> None:
        try:
            self._store.add(result)
        except AlreadyStored:  # another process was faster, or this one died behind it
            pass

    def abandon(self) -> None:
        """The plan ends by a fault of ours: what no file holds is printed."""
        self._print_held()

    def finish(self, *, patience_s: float = PATIENCE_S) -> None:
        """Waits for the store to take what waits.

        Raises:
          StoreError: it did not; names the files and the command that loads them.
        """
        if "readonly" in self._reason:  # nobody makes a file writable by waiting
            patience_s = 0.0
        deadline = time.monotonic() + patience_s
        while not self.flush():
            if time.monotonic() >= deadline or not _slept():
                self._print_held()
                raise StoreError(f"{self._reason}; {self._where()}")

    def _where(self) -> str:
        """What waits, and what brings it in."""
        command = ["harness", "store", "import", str(self.folder), "--store", self._store.name]
        text = (
            f"{counted(len(self._files()), 'row')} kept in {self.folder}, and "
            f"`{shlex.join(command)}` loads them"
        )
        text += " (with the password in place of ***)" if "***" in self._store.name else ""
        return f"{text}; {len(self._held)} more are printed above" if self._held else text

    def _print_held(self) -> None:
        """The last resort, where neither the store nor the cache can be written."""
        for result in self._held:
            print(json.dumps(to_record(result)), file=sys.stderr)


def _slept() -> bool:
    """Waits a little; whoever presses Ctrl-C meanwhile has waited enough."""
    try:
        time.sleep(PAUSE_S)
    except KeyboardInterrupt:
        return False
    return True
