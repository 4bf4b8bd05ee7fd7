"""What a side imports is its own, by a name that both sides share."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import harness
from harness.gate import probe


@pytest.fixture
def sides(tmp_path: Path) -> dict[str, Any]:
    """A repository with a copy of it, and an environment inside the repository."""
    for place in ("zoo/lib", "tree/base/lib", "zoo/env/lib/site-packages"):
        (tmp_path / place).mkdir(parents=True)
    for place in ("zoo/lib/a.py", "tree/base/lib/a.py", "zoo/env/lib/site-packages/jax.py"):
        (tmp_path / place).write_text(place)
    return {"roots": [str(tmp_path / "tree" / "base")], "origin": str(tmp_path / "zoo"),
            "plugins": []}  # fmt: skip


def imported(monkeypatch: pytest.MonkeyPatch, *files: Path) -> None:
    """As if exactly these files had been imported."""
    modules = {}
    for number, file in enumerate(files):
        modules[f"m{number}"] = ModuleType(f"m{number}")
        modules[f"m{number}"].__file__ = str(file)
    monkeypatch.setattr(sys, "modules", {**modules, "__main__": sys.modules["__main__"]})


def test_the_repository_itself_is_foreign_and_an_environment_in_it_is_not(
    sides: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    zoo, env = tmp_path / "zoo", tmp_path / "zoo" / "env"
    monkeypatch.setattr(sys, "prefix", str(env))
    assert probe.foreign(str(zoo / "lib" / "a.py"), sides)
    assert not probe.foreign(str(env / "lib" / "site-packages" / "jax.py"), sides)
    assert not probe.foreign(str(tmp_path / "tree" / "base" / "lib" / "a.py"), sides)
    assert not probe.foreign("/usr/lib/python3/os.py", sides)
    assert not probe.foreign(str(zoo / "lib" / "a.py"), {**sides, "origin": None})
    monkeypatch.setattr(sys, "path", ["", str(zoo), str(zoo / "lib"), str(env / "lib")])
    probe.stay_inside(sides)
    assert sys.path == ["", str(env / "lib")]


def test_sources_are_named_by_their_place_in_the_tree(
    sides: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    imported(monkeypatch, tmp_path / "tree/base/lib/a.py", Path(np.__file__))
    assert list(probe.sources(sides)) == ["lib/a.py"]


def test_what_came_from_the_repository_itself_is_refused(
    sides: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    imported(monkeypatch, tmp_path / "zoo/lib/a.py")
    with pytest.raises(ImportError, match=r"zoo/lib/a.py was imported, which is not of"):
        probe.sources(sides)


def test_the_drivers_own_program_is_no_leak_under_any_name(
    sides: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = ModuleType("__main__")
    program.__file__ = str(tmp_path / "zoo/lib/a.py")
    monkeypatch.setattr(sys, "modules", {"__main__": program, "__mp_main__": program})
    assert probe.sources(sides) == {}


def test_an_environments_sources_are_all_but_pythons_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Editable checkouts count too, by a name that does not tell where they lie."""
    checkout = tmp_path / "checkout" / "zoo.py"
    checkout.parent.mkdir()
    checkout.write_text("one")
    monkeypatch.syspath_prepend(str(checkout.parent))
    imported(monkeypatch, checkout, Path(np.__file__), Path(sysconfig.__file__))
    environment = {"roots": [], "origin": None, "plugins": []}
    found = probe.sources(environment)
    assert set(found) == {"zoo.py", "numpy/__init__.py"}
    checkout.write_text("two")
    assert probe.sources(environment)["zoo.py"] != found["zoo.py"]


def test_a_plugin_file_that_a_side_does_not_have_is_left_out(tmp_path: Path):
    (tmp_path / "zoo.py").write_text("")
    files = [str(tmp_path / "zoo.py"), str(tmp_path / "new.py")]
    assert probe.present({"plugins": files}) == files[:1]


def test_the_python_itself_is_a_package():
    assert probe.packages()["Python"].startswith("3.") and "jax" in probe.packages()


def test_a_transfer_shows_and_a_message_is_one_line():
    assert probe.transfers_are_told()
    assert probe.said(ValueError("a\n  b")) == "ValueError: a b"


def test_the_engine_is_told_of_a_task_unless_it_is_classification():
    def spec(task: str) -> harness.DataSpec:
        return harness.DataSpec(kind="features", shape=(1,), num_classes=2, task=task)

    assert probe.parts_of(spec("classification"), []) == ({}, {})
    parts, task = probe.parts_of(spec("regression"), [])
    assert parts["parts"].task is task["task"] and task["task"].correct is None
