"""The checks as tests in an author's repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_plugins import DATASETS, Faulty

from harness import testing
from harness.checks import names
from harness.errors import UnknownName, UsageError

BY_NAME = {faulty.name: faulty for faulty in DATASETS}


def checks_of(faulty: Faulty, folder: Path) -> dict[str, testing.PluginCheck]:
    return {check.name: check for check in testing.checks(str(faulty.write(folder)))}


def test_each_check_is_a_test_with_a_name_of_its_own(tmp_path: Path):
    found = checks_of(BY_NAME["good_data"], tmp_path)
    assert tuple(found) == names.DATASET
    assert [str(check) for check in found.values()][0] == "good_data-loads"
    for check in found.values():
        check()


def test_a_failed_check_says_what_to_do_and_those_that_need_it_are_skipped(tmp_path: Path):
    found = checks_of(BY_NAME["labels_beyond"], tmp_path)
    # the last one first: what it needs is performed before it
    with pytest.raises(pytest.skip.Exception, match="unavailable: needs as_spec to pass"):
        found["classes"]()
    with pytest.raises(AssertionError, match="as_spec: the train split has labels from 1 to 3"):
        found["as_spec"]()
    found["deterministic"]()


def test_an_exemption_is_skipped_with_its_reason(tmp_path: Path):
    text = BY_NAME["absent_class"].source()
    (tmp_path / "plugin.py").write_text(
        text.replace("load, var", "load, exempt={'classes': 'two are enough'}, var")
    )
    found = {check.name: check for check in testing.checks(str(tmp_path / "plugin.py"))}
    with pytest.raises(pytest.skip.Exception, match="exempt: two are enough"):
        found["classes"]()


def test_what_is_raised_comes_with_its_traceback(tmp_path: Path):
    (tmp_path / "plugin.py").write_text(
        Faulty("dataset", "boom", "loads", "", {"body": "raise OSError('no disk')"}).source()
    )
    (check, *_) = testing.checks(str(tmp_path / "plugin.py"))
    with pytest.raises(AssertionError, match="OSError: no disk") as caught:
        check()
    assert "Traceback" in str(caught.value) and "plugin.py" in str(caught.value)


def test_files_that_are_not_here_are_skipped_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    (check, *_) = testing.checks("imdb")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="nothing is downloaded here"):
        check()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("HARNESS_VERSIONS = '>=7'", "supports harness >=7"),
        ("import no_such_package", "no_such_package"),
    ],
)
def test_a_plugin_that_lacks_something_here_is_one_skipped_test(
    line: str, told: str, tmp_path: Path
):
    (tmp_path / "later.py").write_text(line)
    (check,) = testing.checks(str(tmp_path / "later.py"))
    assert str(check) == "later-imports"
    with pytest.raises(pytest.skip.Exception, match=f"unavailable: .*{told}"):
        check()


def test_a_name_that_stands_for_nothing_is_told_when_tests_are_collected(tmp_path: Path):
    with pytest.raises(UnknownName, match="did you mean 'mean_pool'"):
        testing.checks("mean_pol")
    (tmp_path / "broken.py").write_text("raise OSError('no luck')")
    with pytest.raises(UsageError, match="broken failed to load: OSError: no luck"):
        testing.checks(str(tmp_path / "broken.py"))
