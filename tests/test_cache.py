from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.cache import PARTS, clean, parts
from harness.errors import UsageError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    for place in ("data/imdb/a.npz", "xla/p1", "xla/p2", "logs/run.log", "spool/x/r.jsonl"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"12345")
    (tmp_path / "index.json").write_bytes(b"{}")
    return tmp_path


def test_every_part_is_listed_with_its_files_and_size(cache: Path):
    found = {part.name: (part.files, part.size_bytes) for part in parts()}
    assert found == {
        "downloads": (1, 5), "prepared": (0, 0), "compiled": (2, 10), "checkpoints": (0, 0),
        "logs": (1, 5), "index": (1, 2), "spool": (1, 5),
    }  # fmt: skip


def test_every_folder_that_the_harness_makes_is_a_part(cache: Path):
    """Whoever writes into the cache has its folder listed."""
    harness = Path(__file__).parent.parent
    texts = [p.read_text() for p in (*harness.glob("harness/*.py"), *harness.glob("d*/*/*.py"))]
    import re

    named = {n for text in texts for n in re.findall(r'cache_dir\(\) / "([\w.]+)"', text)}
    assert named and named <= {place for place, _ in PARTS.values()}


def test_only_the_named_parts_go(cache: Path):
    gone = {part.name: (part.files, part.size_bytes) for part in clean(["compiled", "index"])}
    assert gone == {"compiled": (2, 10), "index": (1, 2)}
    assert not (cache / "xla").exists() and not (cache / "index.json").exists()
    assert (cache / "logs/run.log").exists() and (cache / "spool/x/r.jsonl").exists()


def test_new_files_stay_where_only_old_ones_go(cache: Path):
    old = time.time() - 10 * 86400
    os.utime(cache / "xla/p1", (old, old))
    [part] = clean(["compiled"], older_than_days=5)
    assert part.files == 1
    assert sorted(p.name for p in (cache / "xla").iterdir()) == ["p2"]


def test_an_unknown_part_is_refused_before_anything_goes(cache: Path):
    with pytest.raises(UsageError, match="did you mean 'compiled'"):
        clean(["logs", "compile"])
    assert (cache / "logs/run.log").exists()


def test_a_lock_is_nothing_that_the_cache_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "abc.lock").touch()
    assert {part.name: part.files for part in parts()}["checkpoints"] == 0
