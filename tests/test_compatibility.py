"""A plugin that is made for other versions of the harness is not imported, and says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import compatibility, index, plugins
from harness.choices import resolve
from harness.entries import Failure, Source
from harness.errors import PluginError, UnsupportedHarness
from harness.sources import file_source

IMPORTED = "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n"
HOOK = """
import harness

@harness.hookimpl
def register_models(register):
    if True:
        register("later", object)
    register(factory=object, name="latest")
    register(f"computed", object)
"""


def plugin(folder: Path, text: str) -> Source:
    (folder / "zoo.py").write_text(text)
    return file_source(folder / "zoo.py")


@pytest.mark.parametrize("said", ["", ">=0.1,<0.2", ">=0.1", "~=0.1", "==0.1.*"])
def test_versions_that_hold_this_one_are_supported(said: str, tmp_path: Path):
    compatibility.check(plugin(tmp_path, f"HARNESS_VERSIONS = {said!r}"))


@pytest.mark.parametrize(
    "line",
    [
        "HARNESS_VERSIONS = '>=7'",
        "HARNESS_VERSIONS: str = '>=7'",
        "A = HARNESS_VERSIONS = '>=7'",
    ],
)
def test_others_are_refused_with_what_to_do(line: str, tmp_path: Path):
    with pytest.raises(UnsupportedHarness) as caught:
        compatibility.check(plugin(tmp_path, line))
    here = compatibility.version("model-zoo-harness")
    assert "supports harness >=7" in str(caught.value) and f"this is {here}" in str(
        caught.value
    )
    assert "pip install 'model-zoo-harness>=7'" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("HARNESS_VERSIONS = 'banana'", "'banana'; expected a version specifier"),
        ("HARNESS_VERSIONS = 1", "is 1; expected"),
        ("HARNESS_VERSIONS = f'>={1}'", "plain text"),
        ("HARNESS_VERSIONS: str", "is empty"),
    ],
)
def test_what_is_no_specifier_is_one_line(line: str, told: str, tmp_path: Path):
    with pytest.raises(PluginError) as caught:
        compatibility.check(plugin(tmp_path, line))
    assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["def (:", "HARNESS_VERSIONS = (:", "\0", ""])
def test_a_text_that_is_no_python_is_left_to_the_import(text: str, tmp_path: Path):
    compatibility.check(plugin(tmp_path, text))


def test_a_refused_plugin_is_not_imported_and_its_names_are_known(tmp_path: Path):
    source = plugin(tmp_path, f"{IMPORTED}{HOOK}HARNESS_VERSIONS = '>=7'\n")
    failure = plugins.load(plugins.new_manager(), source)
    assert isinstance(failure, Failure)
    assert failure.status == "unavailable" and failure.error_type == "UnsupportedHarness"
    assert failure.names == (("model", "latest"), ("model", "later"))
    assert not (tmp_path / "zoo.ran").exists()


def test_a_plan_that_asks_for_it_can_still_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The index remembers the plugin from when it was supported, and does not say so."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    text = HOOK.replace("object", "Net") + (
        "class Net:\n    def __init__(self, data, *, rngs): ...\n"
    )
    source = plugin(tmp_path, text)
    assert "later" in index.open_registry([source.target]).names("model")
    monkeypatch.setattr(compatibility, "version", lambda name: "7.0")
    monkeypatch.setattr(index, "describe", lambda sources: pytest.fail("it was imported"))
    source = plugin(tmp_path, f"{text}HARNESS_VERSIONS = '<7'\n")
    monkeypatch.setattr(index, "find_sources", lambda files, allowed: (source,))
    found = index.open_registry([source.target])
    assert [failure.status for failure in found.failures] == ["unavailable"]
    assert resolve("model", "later", found)[0].source == source


def distribution(folder: Path, requirement: str, text: str = "") -> Source:
    """An installed distribution `zoo-kit` with the package `zoo_kit`."""
    info = folder / "zoo_kit-1.dist-info"
    info.mkdir()
    head = "Metadata-Version: 2.1\nName: zoo-kit\nVersion: 1\n"
    (info / "METADATA").write_text(f"{head}Requires-Dist: {requirement}\n")
    (folder / "zoo_kit").mkdir()
    (folder / "zoo_kit" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "zoo_kit" / "models.py").write_text(text)
    return Source(name="zoo-kit", origin="distribution", target="zoo_kit.models", version="1",
                  source_hash="0")  # fmt: skip


@pytest.mark.parametrize(
    ("requirement", "text", "supported"),
    [
        ("model-zoo-harness>=0.1", "", True),
        ("model-zoo-harness", "", True),
        ("Model_Zoo.Harness>=7", "", False),
        ("model-zoo-harness>=7; extra == 'more'", "", True),
        ("model-zoo-harness>=7; python_version < '3'", "", True),
        ("numpy>=7", "", True),
        ("numpy", "HARNESS_VERSIONS = '>=7'", False),
    ],
)
def test_a_distribution_says_it_by_what_it_requires(
    requirement: str, text: str, supported: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    source = distribution(tmp_path, requirement, text)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    if supported:
        compatibility.check(source)
    else:
        with pytest.raises(UnsupportedHarness):
            compatibility.check(source)
    assert "zoo_kit" not in sys.modules


def test_a_distribution_without_metadata_is_left_to_the_import():
    source = Source(
        name="gone", origin="distribution", target="gone.kit", version="1", source_hash="0"
    )
    compatibility.check(source)
