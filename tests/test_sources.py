"""Plugins are found through three doors, and none of them is imported on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import registry, sources
from harness.entries import Source
from harness.errors import UsageError
from harness.sources import find_sources

PLUGIN = """
import harness

class Net:
    def __init__(self, data, *, width: int = 8, rngs): ...

@harness.hookimpl
def register_models(register):
    register("kit_net", Net)
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts made-up installed distributions on the import path: returns their folder."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def make(
        name: str = "net-kit",
        points: str = "kit = net_kit_test",
        files: dict[str, str] = {"net_kit_test.py": PLUGIN},
        metadata: str | None = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n",
    ) -> Path:
        info = site / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[harness]\n{points}\n")
        if metadata is not None:
            (info / "METADATA").write_text(metadata.format(name=name))
        for path, text in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
        return site

    return make


def others(found: tuple[Source, ...]) -> list[Source]:
    return [s for s in found if s.origin != "built-in"]


def test_every_built_in_is_found_by_walking_the_packages() -> None:
    found = {s.target for s in find_sources(allowed="")}
    assert {
        "harness_datasets.digits", "harness_datasets.imdb", "harness_models.majority",
        "harness_models.mean_pool", "harness_models.transformer",
    } <= found  # fmt: skip
    # an underscore marks what plugins share
    assert not [target for target in found if "._" in target]


def test_empty_allowance_is_built_ins_only(install: Install) -> None:
    install()
    assert {s.origin for s in find_sources(allowed="")} == {"built-in"}
    assert {s.origin for s in find_sources(allowed=" , ")} == {"built-in"}


def test_no_allowance_is_everything_installed(install: Install) -> None:
    install()
    (found,) = others(find_sources())
    assert (found.name, found.version) == ("net-kit", "1.2")
    assert (found.origin, found.target) == ("distribution", "net_kit_test")


def test_nothing_is_imported_on_the_way(install: Install, tmp_path: Path) -> None:
    install(
        points="kit = net_kit_walk.inner.plugin",
        files={
            "net_kit_walk/__init__.py": "1 / 0",
            "net_kit_walk/inner/__init__.py": "1 / 0",
            "net_kit_walk/inner/plugin.py": "1 / 0",
        },
    )
    file = tmp_path / "single.py"
    file.write_text("1 / 0")
    before = {m for m in sys.modules if m.startswith(("harness_models", "harness_datasets"))}
    assert [s.target for s in others(find_sources([file]))] == [
        "net_kit_walk.inner.plugin", str(file),
    ]  # fmt: skip
    after = {m for m in sys.modules if m.startswith(("harness_models", "harness_datasets"))}
    assert after == before
    assert "net_kit_walk" not in sys.modules


@pytest.mark.parametrize("name", ["net-kit", "net_kit", "Net.Kit", " net-kit "])
def test_allowance_by_distribution_name_in_any_spelling(name: str, install: Install) -> None:
    install()
    assert [s.name for s in others(find_sources(allowed=name))] == ["net-kit"]


def test_allowance_leaves_the_other_distributions_out(install: Install) -> None:
    install()
    install("other-kit", "kit = net_kit_test", {})
    assert [s.name for s in others(find_sources(allowed="other-kit"))] == ["other-kit"]


def test_allowance_by_path(tmp_path: Path, install: Install) -> None:
    install()
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    found = others(find_sources(allowed=f"{file},net-kit"))
    assert [(s.origin, s.name) for s in found] == [
        ("distribution", "net-kit"), ("file", "mine"),
    ]  # fmt: skip


def test_a_path_given_twice_is_one_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    (tmp_path / "link.py").symlink_to(file)
    monkeypatch.chdir(tmp_path)
    given = [file, "mine.py", "./mine.py", tmp_path / "link.py"]
    assert len(others(find_sources(given, allowed="mine.py"))) == 1


@pytest.mark.parametrize("path", ["absent.py", "no-such-kit", ".", "~nobody_at_all/x.py"])
def test_what_is_neither_file_nor_distribution_is_a_usage_error(path: str) -> None:
    for find in (lambda: find_sources([path], allowed=""), lambda: find_sources(allowed=path)):
        with pytest.raises(UsageError) as caught:
            find()
        assert repr(path) in str(caught.value)
        assert "HARNESS_PLUGINS" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text(PLUGIN)
    (found,) = others(find_sources(["~/mine.py"], allowed=""))
    assert found.target == str(tmp_path.resolve() / "mine.py")


def test_a_file_that_cannot_be_read_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(sources.Path, "read_bytes", refuse)
    with pytest.raises(UsageError, match="mine.py.*Permission denied"):
        sources.file_source(file)


def test_a_files_version_and_hash_follow_its_content(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    first = sources.file_source(file)
    assert first == sources.file_source(file)
    file.write_text(PLUGIN + "\n")
    second = sources.file_source(file)
    assert first.version != second.version
    assert first.source_hash != second.source_hash
    assert second.source_hash.startswith(second.version)


def test_a_distributions_hash_covers_its_whole_package(install: Install) -> None:
    """A plugin's module is often thin; what it registers stands in its siblings."""
    site = install(
        points="kit = net_kit_pkg.plugin",
        files={
            "net_kit_pkg/__init__.py": "",
            "net_kit_pkg/plugin.py": "from net_kit_pkg.nets import *",
            "net_kit_pkg/nets.py": PLUGIN,
        },
    )
    (before,) = others(find_sources())
    (site / "net_kit_pkg/nets.py").write_text(PLUGIN.replace("8", "9"))
    (after,) = others(find_sources())
    assert before.source_hash != after.source_hash
    assert before.version == after.version


def test_a_built_ins_hash_covers_itself_and_what_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "builtin_walk_test"
    package.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "BUILTIN_PACKAGES", ("builtin_walk_test",))
    for name in ("__init__", "one", "two", "_shared"):
        (package / f"{name}.py").write_text("")

    def hashes() -> dict[str, str]:
        return {s.name: s.source_hash for s in find_sources(allowed="")}

    first = hashes()
    assert list(first) == ["one", "two"]
    (package / "one.py").write_text("# changed")
    second = hashes()
    assert second["one"] != first["one"] and second["two"] == first["two"]
    (package / "_shared.py").write_text("# changed")
    third = hashes()
    assert third["one"] != second["one"] and third["two"] != second["two"]


def test_an_editors_lock_is_no_source(install: Install) -> None:
    files = {"net_kit_lock/__init__.py": PLUGIN}
    site = install(points="kit = net_kit_lock", files=files)
    (before,) = others(find_sources())
    (site / "net_kit_lock/.#nets.py").symlink_to("nobody@nowhere.1")
    assert others(find_sources()) == [before]


def test_a_distribution_goes_through_the_same_door_as_a_built_in(install: Install) -> None:
    install()
    known = registry.load(others(find_sources()))
    assert known.get("model", "kit_net").source.label == "net-kit==1.2"


def test_a_distribution_without_its_module_fails_alone(install: Install) -> None:
    install(points="kit = net_kit_absent", files={})
    (found,) = others(find_sources())
    (failure,) = registry.load([found]).failures
    assert failure.error_type == "ModuleNotFoundError"


def test_one_module_under_two_entry_points_is_one_plugin(install: Install) -> None:
    install(points="a = net_kit_test\nb = net_kit_test:register_models")
    assert len(others(find_sources())) == 1


def test_a_distribution_whose_metadata_is_gone_breaks_nothing(install: Install) -> None:
    """An interrupted installation leaves such folders."""
    install("lost-kit", "lost = net_kit_test", metadata=None)
    install("net-kit", "kit = net_kit_other", {"net_kit_other.py": PLUGIN})
    found = others(find_sources())
    assert {s.target for s in found} == {"net_kit_test", "net_kit_other"}
    assert all(s.name and s.version for s in found)


def test_the_allowance_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources.allowed_from_environment() == ""
    monkeypatch.delenv("HARNESS_PLUGINS")
    assert sources.allowed_from_environment() is None
    monkeypatch.setenv("HARNESS_PLUGINS", "kit")
    assert sources.allowed_from_environment() == "kit"
