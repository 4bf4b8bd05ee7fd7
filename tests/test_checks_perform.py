"""Checks in a process of their own: what a death costs, and what is not loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_plugins import APART, DATASETS, Faulty

from harness import index
from harness.checks import names, perform, targets
from harness.checks.check import Outcome
from harness.checks.targets import Target

Performed = dict[str, list[Outcome]]

# the child that checks is what this is about, and not the one that describes
pytestmark = pytest.mark.usefixtures("described_here")


def target_of(path: Path, **options: str) -> Target:
    found, failures = targets.find(
        [str(path)], index.open_registry([path]), dataset=options.get("dataset", "digits")
    )
    assert not failures
    return found[0]


@pytest.fixture(scope="module")
def performed(
    tmp_path_factory: pytest.TempPathFactory, shared_cache: Path
) -> Callable[[Faulty], list[Outcome]]:
    """Performs all checks of a plugin, once."""
    folder, known = tmp_path_factory.mktemp("apart"), Performed()

    def outcomes(faulty: Faulty) -> list[Outcome]:
        if faulty.name not in known:
            told: list[Outcome] = []
            known[faulty.name] = perform.perform(
                target_of(faulty.write(folder)), (), told=told.append
            )
            assert told == known[faulty.name]
        return known[faulty.name]

    return outcomes


@pytest.mark.parametrize("faulty", APART, ids=lambda faulty: faulty.name)
def test_what_takes_its_process_down_fails_one_check(performed, faulty: Faulty):
    failed = [one for one in performed(faulty) if one.status == "fail"]
    assert [one.check for one in failed] == [faulty.check], failed
    assert faulty.says in failed[0].words and "expected" in failed[0].words
    assert "\n" not in failed[0].words


def test_a_check_that_kills_its_process_costs_itself_alone(performed):
    found = performed(APART[0])
    assert [one.check for one in found] == list(names.MODEL)
    by_name = {one.check: one for one in found}
    assert by_name["constructs"].status == by_name["same_seed"].status == "pass"
    assert by_name["overfits"].words == "needs finite to pass"


def test_a_death_before_the_first_check_is_one_line(performed):
    assert [one.check for one in performed(APART[1])] == ["constructs"]
    assert "exit 3" in performed(APART[1])[0].words


def test_another_process_finds_the_fingerprint(tmp_path: Path):
    good = target_of(DATASETS[0].write(tmp_path))
    assert perform.fingerprint_elsewhere(perform.question(good, ())) == "made-up-0"
    (only,) = perform.perform(good, ["worker"], told=lambda one: None)
    assert (only.check, only.status) == ("worker", "pass")


def test_a_missing_package_is_one_line_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = DATASETS[0].source().replace("load, var", "load, requires=('no_such',), var")
    (tmp_path / "plugin.py").write_text(text)
    target = target_of(tmp_path / "plugin.py")
    monkeypatch.setattr(perform, "ask", lambda *_, **__: pytest.fail("a child was started"))
    (only,) = perform.perform(target, (), told=lambda one: None)
    assert only.status == "unavailable" and "pip install no_such" in only.words


def test_a_package_that_the_data_lack_is_not_the_models_fault(tmp_path: Path):
    path = tmp_path / "plugin.py"
    path.write_text(
        DATASETS[0].source().replace("load, var", "load, requires=('no_such',), var")
    )
    known = index.open_registry([path])
    (model, *_), _ = targets.find(["majority"], known, dataset="good_data")
    (only,) = perform.perform(model, (), told=lambda one: None)
    assert only.status == "unavailable"
    assert only.words == "dataset 'good_data' needs no_such; pip install no_such"


def test_data_that_are_not_here_are_unavailable_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    known = index.open_registry()
    (data, *_), _ = targets.find(["imdb"], known, dataset="digits")
    found = perform.perform(data, (), told=lambda one: None)
    assert {one.status for one in found} == {"unavailable"}
    assert "nothing is downloaded here" in found[0].words
    (model, *_), _ = targets.find(["majority"], known, dataset="imdb")
    (only,) = perform.perform(model, (), told=lambda one: None)
    assert only.status == "unavailable" and "harness data import imdb" in only.words
    assert not list(tmp_path.rglob("*.npz*"))
