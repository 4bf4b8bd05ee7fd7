"""Keeps results while the store does not take them.

A result is a file in a folder of the cache before the store is asked, and goes away when
the store has it. So a full disk, a read-only file, a database that has gone for a minute,
or a kill while one waits for any of them, costs no row: what the store does not take waits
there, and arrives with the next result, at the end of the plan, or with the next command
that writes to the same store.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import AlreadyStored, DataError, StoreError, counted
from harness.paths import cache_dir, write_atomically
from harness.rows import Result
from harness.store import Store
from harness.transfer import read_file, to_record

# seconds that the end of a plan waits for a store that has gone
PATIENCE_S = 60.0
PAUSE_S = 2.0
# seconds after which a store is slow to refuse: two refusals are then enough to know
SLOW_S = 5.0
# nor is it then asked again at once: waiting for it costs the plan a fifth
PAUSES = 4.0
# seconds that one process waits for another one that brings rows in
LOCK_S = 60.0


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
        self._fresh: dict[str, Result] = {}  # in the folder since a moment ago, by file name
        self._reason = ""
        self._ask_at = 0.0
        if self._files():
            self.flush(earlier=True)

    def _files(self) -> list[Path]:
        """What waits in the folder, the oldest first."""
        found: list[tuple[int, str]] = []
        for path in self.folder.glob("*.jsonl"):
            try:
                found.append((path.stat().st_mtime_ns, path.name))
            except FileNotFoundError:  # another process has brought it in
                continue
        return [self.folder / name for _, name in sorted(found)]

    def save(self, result: Result) -> None:
        """Adds a result, or lets it wait; a run that is stored already is left as it is."""
        try:
            path = self.folder / f"{result.row['run_id']}.jsonl"
            write_atomically(path, json.dumps(to_record(result)).encode() + b"\n")
            self._fresh[path.name] = result
        except (OSError, TypeError, ValueError):  # a full disk; a value that no file takes
            self._held.append(result)
        except BaseException:  # Ctrl-C
            self._held.append(result)
            raise
        if time.monotonic() >= self._ask_at:
            self.flush()

    def flush(self, *, earlier: bool = False) -> bool:
        """Adds what waits; whether nothing waits any more.

        Args:
          earlier: what waits is of commands that ended before.
        """
        asked = time.monotonic()
        refused: list[StoreError] = []
        taken = take(map(self._held_taker, list(self._held)), refused)
        if self._files():
            taken += self._take_files(refused, earlier=earlier)
        self._fresh.clear()
        now = time.monotonic()
        slow = bool(refused) and not taken and now - asked > SLOW_S
        self._ask_at = now + PAUSES * (now - asked) if slow else 0.0
        self._tell(refused)
        return not refused

    def _take_files(self, refused: list[StoreError], *, earlier: bool) -> int:
        try:
            # two processes must not bring in the same file
            with FileLock(self.folder / "lock", timeout=LOCK_S):
                files = self._files()
                if earlier and files:
                    count = counted(len(files), "row")
                    self._note(f"{count} of earlier runs waited in {self.folder}")
                    self._reason = "rows of earlier runs waited"
                return take(map(self._taker, files), refused)
        except Timeout:
            text = f"another process has been bringing in what is in {self.folder}"
            refused.append(StoreError(f"{text} for {LOCK_S:g} s"))
        except OSError as error:  # a full disk has no room for a lock either
            refused.append(StoreError(f"{self.folder} cannot be written ({error.strerror})"))
        return 0

    def _tell(self, refused: list[StoreError]) -> None:
        """Notes when rows begin to wait, and when they have arrived."""
        if refused and not self._reason:
            self._note(f"{refused[-1]}; until then rows wait in {self.folder}")
        elif not refused and self._reason:
            self._note(f"the rows that waited are in store {self._store.name}")
        self._reason = str(refused[-1]) if refused else ""

    def _held_taker(self, result: Result) -> Callable[[], None]:
        def take() -> None:
            self._add(result)
            self._held.remove(result)

        return take

    def _taker(self, path: Path) -> Callable[[], None]:
        def take() -> None:
            fresh = self._fresh.get(path.name)
            try:
                for result in read_file(path) if fresh is None else [fresh]:
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
        """Waits for the store to take what waits; Ctrl-C ends the waiting.

        Raises:
          StoreError: it did not; names the files and the command that loads them.
        """
        if "readonly" in self._reason:  # nobody makes a file writable by waiting
            patience_s = 0.0
        deadline = time.monotonic() + patience_s
        arrived = False
        try:
            while not (arrived := self.flush()) and time.monotonic() < deadline:
                time.sleep(PAUSE_S)
        except KeyboardInterrupt:
            self._reason = self._reason or "stopped by Ctrl-C"
        if not arrived:
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
            print(json.dumps(to_record(result), default=str), file=sys.stderr)


def take(takers: Iterable[Callable[[], None]], refused: list[StoreError]) -> int:
    """Adds results, one by one; one that the store refuses costs no other.

    Args:
      takers: each adds a result.
      refused: gets the reasons; of a store that is slow to refuse two are enough to know.

    Returns:
      How many the store took.
    """
    asked, taken = time.monotonic(), 0
    for add in takers:
        try:
            add()
            taken += 1
        except StoreError as error:
            refused.append(error)
            if len(refused) > 1 and time.monotonic() - asked > SLOW_S:
                break
    return taken
