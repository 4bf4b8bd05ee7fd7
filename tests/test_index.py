"""The index: filled by a child process, then answered from the file alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from harness import index, plugins, sources
from harness.entries import Entry, Failure, Source
from harness.errors import HarnessError, UsageError

GOOD = """
import harness

class Net:
    def __init__(self, data, *, width: int = 8, rngs): ...

@harness.hookimpl
def register_models(register):
    register("net", Net, variants={"wide": {"width": 64}}, requires=("no_such_package",))
"""

Write = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test, without built-ins: their import takes seconds."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(folder))
    monkeypatch.setattr(sources, "BUILTIN_PACKAGES", ())
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_text(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write_text


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Plugins are described in this process, which is quicker; lists whose turn it was."""
    asked: list[str] = []

    def describe(new: list[Source]) -> dict[Source, list[Entry] | Failure]:
        asked.extend(source.name for source in new)
        manager = plugins.new_manager()
        return {source: plugins.load(manager, source) for source in new}

    monkeypatch.setattr(index, "describe", describe)
    return asked


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes it impossible to start Python again."""
    return lambda: monkeypatch.setattr(sys, "executable", "/no/such/python")


def test_filled_once_then_answered_without_a_child(
    cache: Path, write: Write, no_child: Callable[[], None]
) -> None:
    good = write("good.py", GOOD)
    first = index.open_registry([good])
    no_child()
    second = index.open_registry([good])
    assert second == first
    entry = second.get("model", "net")
    assert entry.defaults == {"width": 8}
    assert entry.variants == {"wide": {"width": 64}}
    assert entry.requires == ("no_such_package",)
    assert entry.source.target == str(good)
    assert entry.factory is None


def test_without_a_child_nothing_new_can_be_learned(
    cache: Path, write: Write, no_child: Callable[[], None]
) -> None:
    """What the test before relies on."""
    no_child()
    with pytest.raises(FileNotFoundError):
        index.open_registry([write("good.py", GOOD)])


def test_a_changed_file_is_looked_at_again(
    cache: Path, write: Write, at_hand: list[str]
) -> None:
    assert index.open_registry([write("good.py", GOOD)]).names("model") == ["net"]
    changed = write("good.py", GOOD.replace('"net"', '"other"'))
    assert index.open_registry([changed]).names("model") == ["other"]
    assert index.open_registry([write("good.py", GOOD)]).names("model") == ["net"]
    assert at_hand == ["good", "good"]  # changed back, it was still known


def test_only_what_is_new_is_described(cache: Path, write: Write, at_hand: list[str]) -> None:
    good = write("good.py", GOOD)
    index.open_registry([good])
    other = write("other.py", GOOD.replace('"net"', '"other"'))
    assert index.open_registry([good, other]).names("model") == ["net", "other"]
    assert index.open_registry([other]).names("model") == ["other"]
    assert at_hand == ["good", "other"]


def test_two_commands_at_once_add_to_one_index(
    cache: Path, write: Write, at_hand: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write("first.py", GOOD)
    second = write("second.py", GOOD.replace('"net"', '"other"'))
    describe = index.describe

    def meanwhile(new: list[Source]) -> dict[Source, list[Entry] | Failure]:
        monkeypatch.setattr(index, "describe", describe)
        index.open_registry([second])
        return describe(new)

    monkeypatch.setattr(index, "describe", meanwhile)
    index.open_registry([first])
    assert index.open_registry([first, second]).names("model") == ["net", "other"]
    assert at_hand == ["second", "first"]


def test_failures_are_not_remembered(
    cache: Path, write: Write, tmp_path: Path, at_hand: list[str]
) -> None:
    """The plugin is the same; what it lacked has come."""
    text = f"from pathlib import Path\nPath({str(tmp_path / 'key')!r}).read_text()\n{GOOD}"
    plugin = write("plugin.py", text)
    (failure,) = index.open_registry([plugin]).failures
    assert failure.error_type == "FileNotFoundError"
    assert failure.traceback.startswith("Traceback")
    (tmp_path / "key").write_text("")
    known = index.open_registry([plugin])
    assert known.failures == ()
    assert known.names("model") == ["net"]


DAMAGES: dict[str, Callable[[str], str]] = {
    "cut short": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "another type": lambda text: "[1, 2]",
    "binary": lambda text: "\udcff\udcfe",
    "too deep": lambda text: "[" * 100_000,
    "entries are a number": lambda text: json.dumps(dict.fromkeys(json.loads(text), 3)),
    "entries are null": lambda text: json.dumps(dict.fromkeys(json.loads(text))),
    "entries lack fields": lambda text: json.dumps(dict.fromkeys(json.loads(text), [{}])),
    "entries of another time": lambda text: text.replace('"paper"', '"article"'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_index_is_filled_again(
    damage: Callable[[str], str], cache: Path, write: Write, at_hand: list[str]
) -> None:
    good = write("good.py", GOOD)
    first = index.open_registry([good])
    path = cache / "index.json"
    text = path.read_text()
    path.write_text(damage(text), errors="surrogateescape")
    for _ in range(2):
        assert index.open_registry([good]) == first
    assert path.read_text() == text
    assert at_hand == ["good", "good"]


def test_an_index_that_cannot_be_written_costs_time_only(
    cache: Path, write: Write, at_hand: list[str]
) -> None:
    (cache / "index.json").mkdir(parents=True)
    for _ in range(2):
        assert index.open_registry([write("good.py", GOOD)]).names("model") == ["net"]
    assert at_hand == ["good", "good"]
    # nothing half written is left
    assert {path.name for path in cache.iterdir()} <= {"index.json", "index.lock"}


DEATHS = {
    "leaves": "os._exit(7)",
    "leaves_well": "os._exit(0)",
    "killed": "os.kill(os.getpid(), signal.SIGSEGV)",
    "closes_all": "os.closerange(0, 64)",
}


def test_plugins_that_kill_their_process_cost_themselves(cache: Path, write: Write) -> None:
    head = "import os, signal, sys; print('the\\nlast words', file=sys.stderr, flush=True)\n"
    deadly = [write(f"{name}.py", head + death) for name, death in DEATHS.items()]
    first = write("first.py", GOOD.replace('"net"', '"first"'))
    last = write("last.py", GOOD.replace('"net"', '"last"'))
    known = index.open_registry([first, *deadly, last])
    assert known.names("model") == ["first", "last"]
    assert [f.source.name for f in known.failures] == list(DEATHS)
    for failure in known.failures:
        assert failure.error_type == "Died"
        assert "process that imported it died" in failure.message
        assert len(failure.message.splitlines()) == 1
    assert known.failures[0].message.endswith("(exit 7) last words")


@pytest.mark.parametrize("way", ["import time; time.sleep(600)", "while True: pass"])
def test_a_plugin_that_never_ends_its_import_is_left(
    cache: Path, write: Write, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(index, "PATIENCE", 6.0)
    first = write("first.py", GOOD.replace('"net"', '"first"'))
    last = write("last.py", GOOD.replace('"net"', '"last"'))
    known = index.open_registry([first, write("hangs.py", way), last])
    assert known.names("model") == ["first", "last"]
    assert [f.message for f in known.failures] == ["it was still importing after 6 s"]


NOISES = {
    "prints": "print('{\"entries\": []}')",
    "prints_much": "print('x' * 1_000_000)",
    "bytes": "import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n')",
    "bytes_to_stderr": "import sys; sys.stderr.buffer.write(b'\\xff\\xfe\\n')",
    "to_the_file": "import os; os.write(1, b'{\\n')",
    "of_c": "import ctypes; libc = ctypes.CDLL(None); libc.puts(b'hi'); libc.fflush(None)",
    "program": "import subprocess; subprocess.run(['echo', '{}'])",
    "reads_stdin": "import sys; assert sys.stdin.read() == ''",
    "warns": "import warnings; warnings.warn('beware')",
    "closes_stdout": "import sys; sys.stdout.close()",
}


def test_what_plugins_print_does_not_get_between(cache: Path, write: Write) -> None:
    noisy = [
        write(f"{name}.py", f"{noise}\n{GOOD}".replace('"net"', repr(name)))
        for name, noise in NOISES.items()
    ]
    known = index.open_registry([*noisy, write("last.py", GOOD)])
    assert known.failures == ()
    assert known.names("model") == sorted([*NOISES, "net"])


def test_strict_is_fatal_here_too(
    cache: Path, write: Write, at_hand: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_STRICT_PLUGINS", "1")
    files = [write("good.py", GOOD), write("broken.py", "raise OSError('no luck')")]
    with pytest.raises(HarnessError, match="plugin broken .* failed to load: OSError: no luck"):
        index.open_registry(files)


def test_duplicates_are_found_between_remembered_plugins(
    cache: Path, write: Write, at_hand: list[str]
) -> None:
    files = [write("a.py", GOOD), write("b.py", GOOD)]
    for _ in range(2):
        known = index.open_registry(files)
        assert [f.source.name for f in known.failures] == ["b"]
        with pytest.raises(UsageError, match=r"a\.py and .*b\.py"):
            known.get("model", "net")
    assert at_hand == ["a", "b"]


def test_a_missing_file_is_told_before_anything_is_started(
    cache: Path, no_child: Callable[[], None]
) -> None:
    no_child()
    with pytest.raises(UsageError, match="no plugin file 'absent.py'"):
        index.open_registry(["absent.py"])


def test_an_installed_distribution_is_indexed(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    info = site / "net_kit-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: net-kit\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[harness]\nkit = net_kit_index_test\n")
    (site / "net_kit_index_test.py").write_text(GOOD)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    assert index.open_registry().entries == {}  # HARNESS_PLUGINS is empty: built-ins only
    monkeypatch.setenv("HARNESS_PLUGINS", "net-kit")
    assert index.open_registry().get("model", "net").source.label == "net-kit==1.2"
    monkeypatch.delenv("HARNESS_PLUGINS")
    assert index.open_registry().names("model") == ["net"]


def test_describe_gives_a_failure_or_entries_for_each_source(write: Write) -> None:
    good = sources.file_source(write("good.py", GOOD))
    broken = sources.file_source(write("broken.py", "1 / 0"))
    found = index.describe([good, broken])
    assert list(found) == [good, broken]
    assert isinstance(found[good], list)
    failure = found[broken]
    assert isinstance(failure, Failure) and failure.error_type == "ZeroDivisionError"
    assert index.describe([]) == {}


LIGHT = """
    import sys
    from harness.cli import main

    def leaves_with(*words):
        try:
            main(words)
        except SystemExit as end:
            return end.code

    assert leaves_with("list") == 0
    assert leaves_with("list", "models", "--format", "json") == 0
    assert leaves_with("plugins") == 0
    assert leaves_with("--help") == 0
    assert leaves_with("run", "--help") == 0
    assert leaves_with("run", "--epoch") == 2
    assert leaves_with("lst") == 2
    assert leaves_with("run", "-d", "digits", "-m", "tranformer") == 2
    assert leaves_with("run", "-d", "digits", "-m", "majority[") == 2
    assert leaves_with("run", "-d", "digits", "-m", "majority", "--epochs", "0") == 2
    heavy = {"jax", "jaxlib", "flax", "optax", "grain", "numpy", "pandas", "sklearn"}
    print("imported:", sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_list_help_and_usage_errors_import_nothing_heavy(tmp_path: Path) -> None:
    """The one test here with the built-ins: their import fills the shared cache's index."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(LIGHT)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported: []"
    assert "transformer" in done.stdout
    assert "did you mean 'transformer'" in done.stderr
    assert list(tmp_path.iterdir()) == []
