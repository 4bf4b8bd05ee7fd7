"""The conformance checks as tests, for a plugin author's repository.

    import pytest
    from harness import testing

    @pytest.mark.parametrize("check", testing.checks("wide_and_deep"), ids=str)
    def test_conformance(check):
        check()

Each call fails with what was given, what was expected and what to do. The same checks as
`harness check` runs, here in the process of the tests, so that a debugger stops in the plugin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.checks import names, targets
from harness.checks.check import Outcome
from harness.checks.targets import Target
from harness.entries import Failure


@dataclass(frozen=True)
class PluginCheck:
    """One check of one entry: call it in a test.

    Attributes:
      name: of the check, as in `harness check`.
    """

    name: str
    _subject: _Subject | _Absent = field(repr=False)

    def __str__(self) -> str:
        return f"{self._subject.label}-{self.name}"

    def __call__(self) -> None:
        """Performs the check.

        Raises:
          AssertionError: it failed.
          pytest.skip.Exception: it does not apply, or a package is missing.
        """
        import pytest

        found = self._subject.outcome(self.name)
        if found.status in ("exempt", "unavailable"):
            pytest.skip(f"{found.status}: {found.words}")
        assert found.status == "pass", f"{self.name}: {found.words}\n{found.traceback}".rstrip()


@dataclass(frozen=True)
class _Absent:
    """A plugin that lacks something here, in place of its entries."""

    failure: Failure

    @property
    def label(self) -> str:
        return self.failure.source.name

    def outcome(self, name: str) -> Outcome:
        return Outcome(name, "unavailable", words=self.failure.message)


@dataclass(frozen=True)
class _Subject:
    """What the checks of an entry share: it is loaded once."""

    target: Target
    _found: dict[str, Outcome] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.target.choice.label

    @cached_property
    def _looked_at(self) -> tuple[Any, Any, Mapping[str, str]]:
        from harness.api import load_entry
        from harness.checks import child, perform

        asked = perform.question(self.target, ())
        entry = load_entry(self.target.kind, self.target.choice)
        return (*child.looked_at(entry, self.target.choice, asked), entry.exempt)

    def outcome(self, name: str) -> Outcome:
        """What comes of a check; those that it needs are performed before it."""
        from harness.files import without_downloads

        if name not in self._found:
            with without_downloads():
                self._found[name] = self._outcome(name)
        return self._found[name]

    def _outcome(self, name: str) -> Outcome:
        from harness.checks.check import outcome
        from harness.checks.child import not_loaded

        try:
            checks, subject, exempt = self._looked_at
        except Exception as error:
            return not_loaded(name, error)
        (check,) = [check for check in checks if check.name == name]
        missed = [n for n in check.needs if self.outcome(n).status in ("fail", "unavailable")]
        return outcome(check, subject, exempt=exempt, failed=missed)


def checks(
    *selections: str, plugins: Sequence[str | Path] = (), dataset: str = "digits"
) -> list[PluginCheck]:
    """The checks of models and data sets, to parametrise a test with.

    A plugin that lacks a package, or is made for another version of the harness, has one
    check, which is skipped.

    Args:
      selections: names such as `"wide_and_deep"` or `"wide_and_deep:*"`, or paths of plugin
        files, which stand for all that they register.
      plugins: further plugin files to load.
      dataset: what models are tried on; made-up data where one does not serve it.

    Raises:
      UsageError: a selection stands for nothing, or its plugin could not be loaded.
    """
    from harness.errors import UsageError
    from harness.index import open_registry

    files = [name for name in selections if targets.is_file(name)]
    found, failures = targets.find(
        selections, open_registry([*files, *plugins]), dataset=dataset
    )
    for failure in failures:
        if failure.status == "failed":
            raise UsageError(
                f"plugin {failure.source.name} failed to load: {failure.error_type}: "
                f"{failure.message}"
            )
    absent = [PluginCheck("imports", _Absent(failure)) for failure in failures]
    subjects = [_Subject(target) for target in found]
    return absent + [
        PluginCheck(name, subject)
        for subject in subjects
        for name in names.OF[subject.target.kind]
    ]
