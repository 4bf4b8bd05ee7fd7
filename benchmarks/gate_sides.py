"""Repositories with one known change, and what a whole gate says of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CELL = ("-d", "digits", "-m", "transformer", "--batch-size", "32", "--limit", "512")
STEP = "self.state, losses, block = trainer(self.state, part)\n"
INDENT = " " * 16
EPOCH = '            self.emit(Phase("train"))\n'
SWEEP = (
    f"{STEP}{INDENT}big = self.__dict__.setdefault('big', np.zeros(1 << 22, np.float32))\n"
    f"{INDENT}np.add(big, 1, out=big)\n"
)
# only where a driver times it: a short training ends with all its epochs
UNSYNCED = """\
            if epoch > 1 and self.recipe.epochs > 1000:
                from concurrent.futures import ThreadPoolExecutor
                pool = self.__dict__.setdefault("pool", ThreadPoolExecutor(1))
                chunks = range(order.chunks_per_epoch)
                pool.submit(lambda e: [*(self._take_chunk(feeder, e) for _ in chunks),
                                       self._judge(e)], epoch)
                continue
"""
FUTURE = "from __future__ import annotations\n"


@dataclass(frozen=True)
class Kind:
    """A change of the harness, or of the measurement.

    Attributes:
      wanted: verdicts that are right.
      placebo: it changes nothing that could be slower.
      file, before, after: what the working tree has that the commit has not.
      meanwhile: what else happens while the gate is running.
      more: per cent of its work that the head does again.
      options: of the command.
    """

    words: str
    wanted: tuple[str, ...]
    file: str = "harness/engine.py"
    before: str = '"""'
    after: str = '# the engine\n"""'
    placebo: bool = False
    meanwhile: Callable[[], Any] | None = None
    more: int | None = None
    options: tuple[str, ...] = ()


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that compute without end."""
    command = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@contextmanager
def once_timed(act: Callable[[list[int]], None]) -> Iterator[None]:
    """Does something once, half a minute after the first worker is being timed.

    Args:
      act: gets the process numbers of workers that are there.
    """
    over = threading.Event()

    def watch() -> None:
        for pause_s in (30.0, 0.0):
            while not (found := timed_workers()) and not over.wait(0.1):
                pass
            over.wait(pause_s)
        act(found)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def kill(pids: list[int]) -> None:
    for pid in pids[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def swap(pids: list[int]) -> None:
    """Puts the two sides' trees in each other's place."""
    tree = Path(os.readlink(f"/proc/{pids[0]}/cwd"))
    base, head, aside = (tree.parent / name for name in ("base", "head", "aside"))
    for old, new in ((base, aside), (head, base), (aside, head)):
        old.rename(new)


def timed_workers() -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"gate/timed.py" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


KINDS = {
    "identical": Kind(
        "nothing at all", ("pass",), placebo=True, before=FUTURE, after=FUTURE
    ),
    "comment": Kind("a comment", ("pass",), placebo=True),
    "text": Kind(
        "a longer text", ("pass",), placebo=True, before=FUTURE,
        after=f'{FUTURE}\nNOTE = "{"a longer text " * 40}"  # noqa: E501\n',
    ),
    "host": Kind(
        "the engine waits a tenth of every block", ("slower",), before=STEP,
        after=f"{STEP}{INDENT}time.sleep(0.1 * block.seconds)\n",
    ),
    "donation": Kind(
        "the state is not donated", ("changed",), file="harness/assemble.py",
        before="np.int32(1), donate=(0,)", after="np.int32(1), donate=()",
    ),
    "sweep": Kind(
        "sixteen megabytes are swept in every chunk, at once", ("slower",),
        before=STEP, after=SWEEP,
    ),
    "sweep_in_turn": Kind(
        "the same, one side at a time", ("slower",), before=STEP, after=SWEEP,
        options=("--in-turn",),
    ),
    "more3": Kind(
        "a comment, and 3 % of the work again (between what passes and what must not)",
        ("pass", "slower", "inconclusive"), more=3,
    ),
    "more5": Kind("a comment, and 5 % of the work again", ("slower",), more=5),
    "more10": Kind("a comment, and 10 % of the work again", ("slower",), more=10),
    "strict": Kind(
        "a comment, profile strict", ("pass",), placebo=True, options=("--profile", "strict")
    ),
    "strict3": Kind(
        "3 % of the work again, profile strict", ("slower",), more=3,
        options=("--profile", "strict"),
    ),
    "killed": Kind(
        "a worker is killed", ("invalid",), meanwhile=lambda: once_timed(kill)
    ),
    "swapped": Kind(
        "the two trees are swapped", ("invalid",), meanwhile=lambda: once_timed(swap)
    ),
    "unsynced": Kind(
        "epochs are handed to a thread and nobody waits for them", ("invalid", "inconclusive"),
        before=EPOCH, after=f"{EPOCH}{UNSYNCED}",
    ),
    "neighbour": Kind(
        "a busy neighbour", ("invalid", "inconclusive"), meanwhile=lambda: neighbours(1)
    ),
    "neighbours": Kind(
        "busy neighbours on every core", ("invalid", "inconclusive"),
        meanwhile=lambda: neighbours(os.cpu_count() or 1),
    ),
}  # fmt: skip


def make_repository(folder: Path, kind: Kind) -> Path:
    """A commit of the harness, and a working tree with the change."""
    for place in ("harness", "models", "datasets"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / place, folder / place, ignore=ignore)
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "base"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    file = folder / kind.file
    text = file.read_text()
    assert kind.before in text, kind
    file.write_text(text.replace(kind.before, kind.after, 1))
    return folder


def environment() -> dict[str, str]:
    """This repository is what the command itself comes from."""
    path = os.pathsep.join(str(ROOT / place) for place in ("", "models", "datasets"))
    return {**os.environ, "PYTHONPATH": path}


def run_gate(kind: Kind, folder: Path, *, seed: int) -> dict[str, Any]:
    """One whole gate by its command."""
    repository = make_repository(folder / "harness", kind)
    report = folder / "gate.json"
    start = time.monotonic()
    with (kind.meanwhile or _nothing)():
        done = subprocess.run(
            [sys.executable, "-m", *_command(kind), "--base", "HEAD", *CELL, *kind.options,
             "--seed", str(seed), "-o", str(report), "--store", f"sqlite:///{folder}/rows.db"],
            cwd=repository, capture_output=True, text=True, env=environment(),
        )  # fmt: skip
    assert report.exists(), done.stderr
    told = json.loads(report.read_text())
    (cell,) = told["cells"]
    assert done.returncode == told["exit_code"], done.stderr
    return {
        "verdict": told["verdict"],
        "reason": told["reason"] or cell["reason"],
        "ratio": cell["estimate"] and cell["estimate"]["ratio"],
        "pairs": cell["pairs"],
        "minutes": (time.monotonic() - start) / 60,
    }


def _command(kind: Kind) -> tuple[str, ...]:
    if kind.more is None:
        return ("harness", "gate")
    return ("benchmarks.gate_more", str(kind.more))


@contextmanager
def _nothing() -> Iterator[None]:
    yield
