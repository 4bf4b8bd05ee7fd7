"""The child's side: what it answers to a question, in the order in which it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faulty_plugins import DATASETS

from harness import index
from harness.checks import child, perform, targets
from harness.errors import ContractError, DataError, Unavailable, Unsupported


@pytest.fixture
def asked(tmp_path: Path, described_here: None) -> dict[str, Any]:
    """The question about two checks of a good data set."""
    path = DATASETS[0].write(tmp_path)
    (target, *_), _ = targets.find([str(path)], index.open_registry([path]), dataset="digits")
    return perform.question(target, ("loads", "as_spec", "classes"), failed=["as_spec"])


def test_it_is_ready_before_the_first_outcome(asked: dict[str, Any]):
    order: list[str] = []
    for found in child.outcomes(asked, ready=lambda: order.append("ready")):
        order.append(f"{found.check} {found.status}")
    # what failed in another process is not tried again, and neither what needs it
    assert order[:2] == ["ready", "loads pass"]
    assert order[3] == "classes unavailable"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("HARNESS_VERSIONS = '>=7'", "supports harness >=7"),
        ("import no_such_package", "; pip install no_such_package"),
    ],
)
def test_a_plugin_that_lacks_something_here_is_unavailable(
    line: str, told: str, asked: dict[str, Any]
):
    Path(asked["choice"]["source"]["target"]).write_text(line)
    (found,) = child.outcomes(asked, ready=lambda: pytest.fail("nothing is loaded"))
    assert (found.check, found.status) == ("loads", "unavailable")
    assert told in found.words


def test_a_plugin_that_does_not_load_is_one_outcome(asked: dict[str, Any]):
    Path(asked["choice"]["source"]["target"]).write_text("raise OSError('gone')")
    (found,) = child.outcomes(asked, ready=lambda: pytest.fail("nothing is loaded"))
    assert (found.check, found.status) == ("loads", "fail")
    assert found.words.endswith("nothing was checked") and "Traceback" in found.traceback


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Unavailable("no file"), "unavailable", "no file"),
        (Unsupported("needs tokens"), "fail", "needs tokens; expected it to serve some"),
        (DataError("a bad file"), "fail", "DataError: a bad file; nothing was checked"),
        (ValueError("x\ny"), "fail", "ValueError: x; nothing was checked"),
    ],
)
def test_why_nothing_was_loaded_is_one_line(error: Exception, status: str, words: str):
    found = child.not_loaded("constructs", error)
    assert found.status == status and found.words.startswith(words)
    assert "\n" not in found.words


def test_the_fingerprint_is_that_of_the_data(asked: dict[str, Any]):
    assert child.fingerprint(asked) == "made-up-0"


def test_a_task_is_that_of_the_plugin_which_registers_it(asked: dict[str, Any]):
    assert child.task_named("classification", asked).correct is not None
    assert child.task_named("regression", asked).correct is None
    with pytest.raises(ContractError, match="DataSpec.task is 'regresion'; did you mean"):
        child.task_named("regresion", asked)


def test_an_exemption_from_no_check_is_told(asked: dict[str, Any]):
    path = Path(asked["choice"]["source"]["target"])
    path.write_text(
        "import harness\ndef load(): pass\n"
        "@harness.hookimpl\ndef register_datasets(register):\n"
        "    register('good_data', load, exempt={'clases': 'why'})\n"
    )
    (found,) = child.outcomes(asked, ready=lambda: pytest.fail("nothing is checked"))
    assert "'good_data' is exempt from 'clases', which is no check; did you mean" in found.words
