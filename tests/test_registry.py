"""Names to entries; a name belongs to one plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.entries import Entry, Failure, Kind, Source
from harness.errors import HarnessError, UnknownName, UsageError
from harness.sources import file_source

Make = Callable[..., registry.Registry]


def source(name: str) -> Source:
    return Source(
        name=name, origin="file", target=f"/x/{name}.py", version="1", source_hash=name
    )


def entry(name: str, of: Source, kind: Kind = "model") -> Entry:
    return Entry(kind=kind, name=name, source=of)


def joined(**claims: list[str]) -> registry.Registry:
    """A registry of plugins by name, each with the names of its models."""
    return registry.join(
        (source(plugin), [entry(name, source(plugin)) for name in names])
        for plugin, names in claims.items()
    )


class Net:
    def __init__(self, data: Any, *, rngs: Any) -> None: ...


def registers(*names: str) -> Callable[[Any], None]:
    def register_models(register: Any) -> None:
        for name in names:
            register(name, Net)

    return register_models


def test_names_are_sorted_and_kinds_apart() -> None:
    a = source("a")
    found = registry.join([(a, [entry("z", a), entry("b", a), entry("b", a, "dataset")])])
    assert found.names("model") == ["b", "z"]
    assert found.names("dataset") == ["b"]
    assert [e.name for e in found.of_kind("model")] == ["b", "z"]
    assert found.get("dataset", "b").kind == "dataset"


def test_unknown_name_gets_the_nearest(make_registry: Make) -> None:
    known = make_registry(registers("transformer", "mean_pool"))
    with pytest.raises(UnknownName) as caught:
        known.get("model", "transfomer")
    assert str(caught.value) == (
        "no model 'transfomer'; did you mean 'transformer'? "
        "known models: mean_pool, transformer"
    )


def test_unknown_name_mentions_plugins_that_failed() -> None:
    failure = Failure(source=source("kit"), error_type="E", message="m", traceback="t")
    known = registry.join([(source("kit"), failure)])
    with pytest.raises(UnknownName, match=r"kit; see `harness plugins doctor kit"):
        known.get("model", "a")


def test_the_doctor_of_a_file_is_given_the_file(tmp_path: Path) -> None:
    known = registry.load([write(tmp_path / "a b.py", BROKEN)])
    with pytest.raises(UnknownName) as caught:
        known.get("model", "net")
    doctor = f"`harness plugins doctor 'a b' --plugin '{tmp_path / 'a b.py'}'`"
    assert str(caught.value).endswith(f"(plugins that failed to load: a b; see {doctor})")


def test_a_disputed_name_is_nobodys_and_the_error_names_both_origins() -> None:
    known = joined(first=["a", "shared"], second=["b", "shared"])
    assert known.names("model") == ["a"]
    with pytest.raises(UsageError, match=r"file /x/first\.py and file /x/second\.py"):
        known.get("model", "shared")


def test_the_later_claimant_fails_and_its_message_names_the_first() -> None:
    (failure,) = joined(first=["a", "shared"], second=["b", "shared"]).failures
    assert failure.source == source("second")
    assert failure.error_type == "DuplicateName"
    assert "'shared'" in failure.message and "file /x/first.py" in failure.message
    assert len(failure.message.splitlines()) == 1


def test_a_plugin_that_claims_two_names_fails_once() -> None:
    known = joined(first=["a", "b"], second=["a", "b", "c"])
    assert len(known.failures) == 1
    assert known.entries == {}


def test_three_claimants_are_all_named() -> None:
    known = joined(first=["a"], second=["a"], third=["a"])
    assert [f.source.name for f in known.failures] == ["second", "third"]
    with pytest.raises(UsageError, match="first.*second.*third"):
        known.get("model", "a")


def test_one_name_for_a_model_and_a_data_set_is_no_dispute() -> None:
    a, b = source("a"), source("b")
    known = registry.join([(a, [entry("x", a)]), (b, [entry("x", b, "dataset")])])
    assert known.disputed == {} and known.failures == ()


def test_one_name_under_two_hooks_through_the_manager(make_registry: Make) -> None:
    known = make_registry(registers("a", "shared"), registers("shared"))
    assert known.names("model") == ["a"]
    assert [f.source.name for f in known.failures] == ["plugin1"]


BROKEN = "raise OSError('no luck')"
GOOD = """
import harness

class Net:
    def __init__(self, data, *, width: int = 8, rngs): ...

@harness.hookimpl
def register_models(register):
    register("net", Net)
"""


def write(path: Path, text: str) -> Source:
    path.write_text(text)
    return file_source(path)


def test_load_keeps_the_good_beside_the_broken(tmp_path: Path) -> None:
    broken, good = write(tmp_path / "a.py", BROKEN), write(tmp_path / "b.py", GOOD)
    known = registry.load([broken, good])
    assert known.names("model") == ["net"]
    assert [f.source for f in known.failures] == [broken]
    assert known.get("model", "net").build().__name__ == "Net"


def test_a_copy_of_a_plugin_disputes_its_names(tmp_path: Path) -> None:
    known = registry.load([write(tmp_path / "a.py", GOOD), write(tmp_path / "b.py", GOOD)])
    with pytest.raises(UsageError) as caught:
        known.get("model", "net")
    assert str(tmp_path / "a.py") in str(caught.value)
    assert str(tmp_path / "b.py") in str(caught.value)


@pytest.mark.parametrize(("value", "fatal"), [("1", True), ("0", False), ("", False)])
def test_strict_makes_a_broken_plugin_fatal(
    value: str, fatal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_STRICT_PLUGINS", value)
    sources = [write(tmp_path / "a.py", BROKEN), write(tmp_path / "b.py", GOOD)]
    assert registry.strict_from_environment() is fatal
    if not fatal:
        assert registry.load(sources).names("model") == ["net"]
        return
    with pytest.raises(HarnessError, match="plugin a .*a.py.* failed to load: OSError"):
        registry.load(sources)


def test_strict_makes_a_duplicate_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_STRICT_PLUGINS", "1")
    with pytest.raises(HarnessError, match="DuplicateName"):
        registry.load([write(tmp_path / "a.py", GOOD), write(tmp_path / "b.py", GOOD)])


def requiring(*modules: str) -> Entry:
    return Entry(kind="model", name="a", source=source("a"), requires=modules)


def test_requirements_that_are_missing_make_an_entry_unavailable() -> None:
    there = (
        "json",
        "os.path",
        "xml.dom.minidom",
        "importlib.metadata",
        "numpy",
        "numpy.linalg",
    )
    absent = ["no_such_package", "no_such_package.part", "json.no_such", "os.no_such.part"]
    assert registry.missing_requirements(requiring(*there)) == []
    assert registry.missing_requirements(requiring(*there, *absent)) == absent
    assert registry.status(requiring(*there)) == "ok"
    assert registry.status(requiring("json", "no_such_package")).startswith("unavailable")
    assert "no_such_package" in registry.status(requiring("no_such_package"))


def test_requirements_are_looked_for_without_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parent package may be slow to import, or broken."""
    inner = tmp_path / "required_test" / "inner"
    inner.mkdir(parents=True)
    (inner.parent / "__init__.py").write_text("1 / 0")
    (inner / "__init__.py").write_text("1 / 0")
    (inner / "deep.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    entry = requiring("required_test.inner.deep", "required_test.inner.absent")
    assert registry.missing_requirements(entry) == ["required_test.inner.absent"]
    assert "required_test" not in sys.modules
