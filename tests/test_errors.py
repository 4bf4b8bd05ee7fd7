"""Errors are one line each, with the exit code and the names that help."""

from __future__ import annotations

import pytest

from harness import errors
from harness.errors import did_you_mean, first_line, pip_line


@pytest.mark.parametrize(
    "cls",
    [
        errors.UsageError, errors.UnknownName, errors.PluginError, errors.DataError,
        errors.StoreError, errors.Unavailable, errors.Diverged, errors.ContractError,
    ],
)  # fmt: skip
def test_faults_that_the_user_can_mend_leave_with_2(cls: type[errors.HarnessError]) -> None:
    assert issubclass(cls, errors.HarnessError)
    assert cls("x").exit_code == 2


def test_unsupported_is_no_fault() -> None:
    assert not issubclass(errors.Unsupported, errors.HarnessError)


def test_unknown_name_is_a_usage_error() -> None:
    assert issubclass(errors.UnknownName, errors.UsageError)


def test_did_you_mean_names_the_nearest_and_all_in_order() -> None:
    text = did_you_mean("transfomer", ["transformer", "mean_pool"], what="models")
    assert text == "did you mean 'transformer'? known models: mean_pool, transformer"


def test_did_you_mean_guesses_nothing_from_nothing_near() -> None:
    assert did_you_mean("zzz", ["mean_pool"], what="models") == "known models: mean_pool"
    assert did_you_mean("zzz", [], what="models") == "known models: none"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one"), "one"),
        (ValueError("\n  one\ntwo\n"), "one"),
        (ValueError(), "ValueError"),
        (ValueError("  \n "), "ValueError"),
        (SystemExit(3), "3"),
        (KeyError("k"), "'k'"),
        (SyntaxError("invalid syntax", ("a.py", 3, 1, "x ="))
         , "invalid syntax (a.py, line 3)"),
    ],
)  # fmt: skip
def test_first_line_of_an_exception(error: BaseException, line: str) -> None:
    assert first_line(error) == line


def test_a_traceback_within_a_message_gives_its_last_line():
    text = "INTERNAL: callback: Traceback (most recent call last):\n  File x\nValueError: why\n"
    assert first_line(RuntimeError(text)) == "INTERNAL: callback: ValueError: why"


def test_what_an_extra_brings_is_installed_by_its_name() -> None:
    assert pip_line(["tensorboardX"]) == "pip install 'model-zoo-harness[tensorboard]'"
    assert pip_line(["datasets.load"]) == "pip install 'model-zoo-harness[hf]'"
    assert pip_line(["tokenizers"]) == "pip install 'model-zoo-harness[bpe]'"
    assert pip_line(["numpy", "flax"]) == "pip install numpy flax"


def test_a_list_behind_the_first_line_is_kept() -> None:
    error = ValueError("Found a list; consider one of:\n\n  1. put it into nnx.List\n  2. no\n")
    assert first_line(error) == "Found a list; consider one of: 1. put it into nnx.List 2. no"
    assert len(first_line(ValueError("so:\n" + "x " * 1000))) == 500
