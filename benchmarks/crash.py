"""Kills a suite at moments of its work, resumes it, and holds it against an undisturbed one.

A kill is SIGKILL for the driver and two times out of three for its worker too; a worker that
is left alone has to end by itself. Some moments are drawn at random, others wait for a sign:
a worker that has just begun, a checkpoint behind it, a model that says that it is being
evaluated, the store's log growing, a checkpoint half written. After each
kill every row that was there must still be there, once; when the suite is through, every
run must have the parameters, losses and accuracies of the undisturbed suite, to the bit.

    python -m benchmarks.crash --kills 75
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from harness import machine
from harness.store import open_store

PLUGIN = Path(__file__).parent / "evaluated_slowly.py"
SUITE = ("-d", "digits", "-m", "transformer", "-m", "evaluated_slowly", "-m", "mean_pool",
         "-m", "majority", "--seeds", "2", "--epochs", "60", "--batch-size", "32",
         "--plugin", str(PLUGIN))  # fmt: skip
SIGN = "EVALUATED_SLOWLY_SIGN"  # the file that the plugin touches
SAME = ("params_hash", "test_loss", "test_accuracy", "train_loss", "best_epoch")
PATIENCE_S = 10.0  # for a worker to notice that its driver has gone
Row = dict[str, Any]


@dataclass
class Place:
    """A store and a cache of their own."""

    folder: Path
    words: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/rows.db"

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "harness", "run", *self.words, "--store", self.url,
                   "--resume", "--checkpoint", "0.2"]  # fmt: skip
        environment = {
            **os.environ, "HARNESS_CACHE_DIR": str(self.folder / "cache"),
            "HARNESS_PLUGINS": "", SIGN: str(self.folder / "evaluating"),
        }  # fmt: skip
        with open(self.folder / "said", "ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, env=environment)

    def rows(self) -> list[Row]:
        if not (self.folder / "rows.db").exists():
            return []
        with open_store(self.url) as store:
            return store.rows()

    def losses(self, run_id: str) -> np.ndarray:
        with open_store(self.url) as store:
            found = store.array(run_id, "train_loss")
        assert found is not None
        return found


@dataclass
class Count:
    """What happened so far."""

    kills: Counter[str] = field(default_factory=Counter)
    trees: int = 0
    lost: int = 0
    twice: int = 0
    different: int = 0
    stray: int = 0
    suites: int = 0
    rows: int = 0
    resumed: int = 0


# a moment: waits for it, or for the process to end; whether it came
Moment = Callable[[Place, subprocess.Popen[bytes], random.Random, float], bool]


def at_random(place: Place, driver: Any, draw: random.Random, length_s: float) -> bool:
    _wait(driver, lambda: False, draw.uniform(0, length_s))
    return True


def in_compilation(place: Place, driver: Any, draw: random.Random, length_s: float) -> bool:
    came = _wait(driver, lambda: bool(children(driver.pid)), length_s)
    _wait(driver, lambda: False, draw.uniform(0.5, 3.0))
    return came


def in_store_write(place: Place, driver: Any, draw: random.Random, length_s: float) -> bool:
    log = place.folder / "rows.db-wal"

    def written() -> tuple[int, int]:
        # SQLite begins its log anew without making it shorter
        return (log.stat().st_size, log.stat().st_mtime_ns) if log.exists() else (0, 0)

    _wait(driver, lambda: bool(children(driver.pid)), length_s)
    before = written()
    return _wait(driver, lambda: written() not in (before, (0, 0)), length_s)


def in_training(place: Place, driver: Any, draw: random.Random, length_s: float) -> bool:
    before = _written(place)
    came = _wait(driver, lambda: bool(_written(place) - before), length_s)
    _wait(driver, lambda: False, draw.uniform(0, 2.0))
    return came


def in_evaluation(place: Place, driver: Any, draw: random.Random, length_s: float) -> bool:
    sign = place.folder / "evaluating"
    came = True
    for _ in range(draw.randint(1, 40)):
        sign.unlink(missing_ok=True)
        came = came and _wait(driver, sign.exists, length_s)
    return came


def in_checkpoint(place: Place, driver: Any, draw: random.Random, length_s: float) -> bool:
    before = _written(place)
    if draw.random() < 0.5:  # the first of a run, or one that another lies behind
        _wait(driver, lambda: bool(_written(place) - before), length_s)
    folder = place.folder / "cache" / "checkpoints"
    came = _wait(driver, lambda: any(folder.glob("*/*tmp*")), length_s)
    _wait(driver, lambda: False, draw.uniform(0, 0.02))
    return came


def _written(place: Place) -> set[Path]:
    """The checkpoints that are whole."""
    found = (place.folder / "cache" / "checkpoints").glob("*/*")
    return {path for path in found if path.name.isdigit()}


MOMENTS: dict[str, Moment] = {
    "at random": at_random,
    "in compilation": in_compilation,
    "in training": in_training,
    "in evaluation": in_evaluation,
    "in a store write": in_store_write,
    "in a checkpoint": in_checkpoint,
}


def _wait(driver: Any, until: Callable[[], bool], seconds: float) -> bool:
    """Waits for something, at most so long and while the driver lives; whether it came."""
    deadline = time.monotonic() + seconds
    while driver.poll() is None and time.monotonic() < deadline:
        if until():
            return True
        time.sleep(0.001)
    return False


@dataclass
class Kinds:
    """Which moment is next: one that was missed comes again."""

    names: list[str]
    at: int = 0

    def current(self) -> str:
        return self.names[self.at % len(self.names)]


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are alive."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:  # it ended meanwhile
            pass
    return found


def kill(driver: subprocess.Popen[bytes], *, tree: bool, count: Count) -> None:
    """Kills the driver, its workers too if the tree is meant; counts who stays."""
    workers = children(driver.pid)
    for pid in (driver.pid, *(workers if tree else ())):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    driver.wait()
    deadline = time.monotonic() + PATIENCE_S
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    count.stray += sum(map(_alive, workers))


def _alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def disturbed(
    place: Place, draw: random.Random, count: Count, kinds: Kinds, length_s: float,
    budget: int,
) -> None:  # fmt: skip
    """Kills and resumes one suite until it is through, at most `budget` kills."""
    known: set[str] = set()
    kills = 0
    while True:
        driver = place.start()
        kind, came = kinds.current(), False
        if kills < budget:
            came = MOMENTS[kind](place, driver, draw, length_s)
        else:
            driver.wait()
        if driver.poll() is None:
            kinds.at += came
            kind = kind if came else "at random"
            tree = kills % 3 != 2
            kill(driver, tree=tree, count=count)
            count.kills[kind] += 1
            count.trees += tree
            kills += 1
        rows = place.rows()
        ids = [row["run_id"] for row in rows]
        count.lost += len(known - set(ids))
        known |= set(ids)
        if driver.returncode == 0:
            return
        assert driver.returncode == -signal.SIGKILL, (place.folder / "said").read_text()


def judge(place: Place, whole: Place, count: Count) -> None:
    """Holds a suite that is through against the undisturbed one."""
    wanted = {(r["model"], r["seed"]): r for r in whole.rows()}
    found = Counter((r["model"], r["seed"]) for r in place.rows())
    count.twice += sum(n - 1 for n in found.values())
    count.lost += len(set(wanted) - set(found))
    for row in place.rows():
        other = wanted[row["model"], row["seed"]]
        same = all(row[name] == other[name] for name in SAME) and np.array_equal(
            place.losses(row["run_id"]), whole.losses(other["run_id"])
        )
        count.different += not same
        count.rows += 1
        count.resumed += row["resumed"] > 0
    count.suites += 1


def crash(kills: int, *, seed: int, words: tuple[str, ...] = SUITE) -> Count:
    """Kills suites `kills` times in all."""
    draw, count = random.Random(seed), Count()
    kinds = Kinds(list(MOMENTS))
    with tempfile.TemporaryDirectory() as folder:
        whole = Place(Path(folder) / "whole", words)
        whole.folder.mkdir()
        start = time.monotonic()
        assert whole.start().wait() == 0, (whole.folder / "said").read_text()
        length_s = time.monotonic() - start
        while (done := sum(count.kills.values())) < kills and count.suites < kills:
            place = Place(Path(folder) / f"suite{count.suites}", words)
            place.folder.mkdir()
            disturbed(place, draw, count, kinds, length_s, min(12, kills - done))
            judge(place, whole, count)
    return count


def page(count: Count) -> str:
    lines = ["| killed | times |\n|---|---:|"]
    lines += [f"| {kind} | {number} |" for kind, number in count.kills.items()]
    lines += [
        f"| all | {sum(count.kills.values())} |\n",
        f"The whole tree {count.trees} times, otherwise the driver alone.",
        f"{count.suites} suites, {count.rows} rows, {count.resumed} of them from a run that "
        "went on at a checkpoint.",
        f"Finished rows lost: {count.lost}. Rows twice: {count.twice}. Rows whose parameters, "
        f"losses or accuracies differ from the undisturbed suite's: {count.different}. Workers "
        f"left {PATIENCE_S:g} s after their driver's death: {count.stray}.",
    ]
    versions = machine.versions()
    place = f"{machine.cpu_model()}, {os.cpu_count()} cores, jax {versions['jax_version']}"
    return "\n".join([*lines, f"\n{place}"])


@click.command()
@click.option("--kills", default=75, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, help="Draws the moments.")
def main(kills: int, seed: int) -> None:
    """Kills suites and counts what is lost: nothing should be."""
    count = crash(kills, seed=seed)
    click.echo(page(count))
    sys.exit(1 if count.lost or count.twice or count.different or count.stray else 0)


if __name__ == "__main__":
    main()
