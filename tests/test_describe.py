"""The child process that fills the index: one line of JSON a source, as soon as it is known."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import children
from harness.entries import entry_from_json
from harness.sources import file_source

GOOD = """
import harness
print("to whom it may concern")

class Net:
    def __init__(self, data, *, width: int = 8, rngs): ...

@harness.hookimpl
def register_models(register):
    register("net", Net)
"""


def ask(folder: Path, *texts: str) -> tuple[list[dict[str, Any]], int | None, str]:
    """What it answers, its exit code, and what else it prints."""
    sources = []
    for i, text in enumerate(texts):
        path = folder / f"plugin{i}.py"
        path.write_text(text)
        sources.append(asdict(file_source(path)))
    log = folder / "log"
    with open(log, "w") as stderr:
        answer = children.ask(
            "harness.describe", json.dumps(sources), patience_s=120.0, stderr=stderr.fileno()
        )
    return [json.loads(line) for line in answer.lines], answer.code, log.read_text()


def test_one_line_a_source_in_order(tmp_path: Path) -> None:
    lines, code, _ = ask(tmp_path, GOOD, "raise OSError('no\\nluck')", GOOD)
    assert code == 0
    assert [list(line) for line in lines] == [["entries"], ["failure"], ["entries"]]
    (values,) = lines[0]["entries"]
    entry = entry_from_json(values)
    assert (entry.name, entry.defaults) == ("net", {"width": 8})
    assert entry.source.target == str(tmp_path / "plugin0.py")


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    lines, *_ = ask(tmp_path, "import no_such_package.part")
    assert [line["failure"]["missing"] for line in lines] == ["no_such_package"]


def test_a_failure_is_type_message_and_traceback(tmp_path: Path) -> None:
    ((line,), *_) = ask(tmp_path, "raise OSError('no\\nluck')")
    failure = line["failure"]
    assert sorted(failure) == ["error_type", "message", "missing", "names", "traceback"]
    assert (failure["error_type"], failure["message"]) == ("OSError", "no")
    assert failure["missing"] == "" and failure["names"] == []
    assert "plugin0.py" in failure["traceback"]


def test_answers_given_before_a_death_are_not_lost(tmp_path: Path) -> None:
    lines, code, _ = ask(tmp_path, GOOD, "import os; os._exit(7)", GOOD)
    assert code == 7
    assert [list(line) for line in lines] == [["entries"]]


def test_what_plugins_print_goes_to_stderr(tmp_path: Path) -> None:
    lines, _, said = ask(tmp_path, GOOD)
    assert len(lines) == 1
    assert "to whom it may concern" in said


def test_no_sources_no_answers(tmp_path: Path) -> None:
    assert ask(tmp_path) == ([], 0, "")
