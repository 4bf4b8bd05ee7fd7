"""Each faulty plugin fails the check that names its fault, and no other; a good one none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faulty_plugins
import pytest
from faulty_plugins import APART, FAULTY, Faulty

from harness import plugins
from harness.checks import catalogue, made_up, names, perform
from harness.checks.check import Outcome, outcome
from harness.checks.data import DataSubject
from harness.checks.subject import BATCH, SEED, ModelSubject
from harness.checks.targets import Target
from harness.choices import Choice
from harness.entries import Entry
from harness.sources import file_source


def loaded(faulty: Faulty, folder: Path) -> Entry:
    entries = plugins.load(plugins.new_manager(), file_source(faulty.write(folder)))
    assert isinstance(entries, list), entries
    return entries[0]


def performed(faulty: Faulty, folder: Path) -> list[Outcome]:
    """The outcomes of all checks, in this process and on small made-up data."""
    entry = loaded(faulty, folder)
    checks, subject = looked_at(entry)
    found: list[Outcome] = []
    for check in checks:
        failed = [one.check for one in found if one.status in ("fail", "unavailable")]
        found.append(outcome(check, subject, exempt={}, failed=failed))
    return found


def looked_at(entry: Entry) -> tuple[Any, Any]:
    if entry.kind == "model":
        spec = made_up.TOKENS
        examples = made_up.examples(spec, 4 * BATCH, seed=SEED)
        subject = ModelSubject(entry.build(), {}, spec, examples, "made-up tokens")
        return catalogue.MODEL, subject
    choice = Choice(name=entry.name, variant="", params={"seed": 0}, source=entry.source)

    def elsewhere() -> str:
        if entry.name != "hash_of_text":
            return entry.build()(seed=0).spec.fingerprint
        return perform.fingerprint_elsewhere(
            perform.question(Target("dataset", entry, choice), ())
        )

    return catalogue.DATASET, DataSubject(entry.build(), {"seed": 0}, entry.variants, elsewhere)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda faulty: faulty.name)
def test_a_fault_fails_the_check_that_names_it_and_no_other(faulty: Faulty, tmp_path: Path):
    found = {one.check: one for one in performed(faulty, tmp_path)}
    failed = {name: one.words for name, one in found.items() if one.status == "fail"}
    assert list(failed) == ([faulty.check] if faulty.check else []), failed
    if faulty.check:
        assert faulty.says in failed[faulty.check]
        assert "expected" in failed[faulty.check] and "\n" not in failed[faulty.check]


def test_there_is_a_faulty_plugin_for_every_check_that_can_fail():
    named = {faulty.check for faulty in (*FAULTY, *APART)} - {""}
    assert set(names.ALL) - named == {"cost"}  # which expects nothing
    assert len({faulty.name for faulty in FAULTY}) == len(FAULTY)
    assert len([faulty for faulty in faulty_plugins.MODELS if faulty.check]) >= 12


def test_the_names_are_those_of_the_checks():
    assert tuple(check.name for check in catalogue.MODEL) == names.MODEL
    assert tuple(check.name for check in catalogue.DATASET) == names.DATASET


def test_a_check_needs_only_what_comes_before_it():
    for checks in (catalogue.MODEL, catalogue.DATASET):
        for number, check in enumerate(checks):
            before = {one.name for one in checks[:number]}
            assert set(check.needs) <= before and check.shows
