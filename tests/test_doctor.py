"""Each way to be broken has a likely cause of its own, and something to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import plugins
from harness.cli import main
from harness.doctor import diagnose
from harness.entries import Failure, Source
from harness.sources import file_source

GOOD = """
import harness

class Net:
    def __init__(self, data: harness.DataSpec, *, width: int = 8, rngs) -> None: ...

@harness.hookimpl
def register_models(register):
    register("net", Net)
"""
# the text, the likely cause, what to do
BROKEN: dict[str, tuple[str, str, str]] = {
    "missing package": (
        "\nimport no_such_package.part", "it imports no_such_package, which is not installed "
        "(FILE, line 2)", "pip install no_such_package",
    ),
    "hook misspelt": (
        GOOD.replace("register_models", "register_model"), "no hook is called register_model",
        "did you mean 'register_models'",
    ),
    "hook with other arguments": (
        GOOD.replace("(register)", "(registry)"), "register_models takes other arguments",
        "write it as register_models(register)",
    ),
    "unknown field": (
        GOOD.replace("Net)", "Net, variant={})"), "register takes no variant (FILE, line 9)",
        "did you mean 'variants'",
    ),
    "no hook": (GOOD.replace("@harness.hookimpl", ""), "registers something", "hookimpl"),
    "no Python": ("x = 1\ndef (:\n", "no valid Python (FILE, line 2)", "mend that line"),
    "other versions": (
        "HARNESS_VERSIONS = '>=7'", "not imported: it supports harness >=7",
        "pip install 'model-zoo-harness>=7'",
    ),
    "no versions": ("HARNESS_VERSIONS = 'x'", "not as the contract says", "specifier"),
    "exits": ("import sys\nsys.exit(1)", "calls exit while it is imported (FILE, line 2)",
              "__main__"),
    "old name": ("from harness import Spec", "harness has no Spec", "HARNESS_VERSIONS"),
    "wrong entry": (GOOD.replace("width: int = 8", "width: list"), "contract", "width"),
    "raises": ("def f():\n    1 / 0\nf()", "ZeroDivisionError (FILE, line 2)", "pdb"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_has_a_likely_cause(case: str, tmp_path: Path):
    text, cause, do = BROKEN[case]
    path = tmp_path / "zoo.py"
    path.write_text(text)
    failure = plugins.load(plugins.new_manager(), file_source(path))
    assert isinstance(failure, Failure)
    found = diagnose(failure)
    assert cause.replace("FILE", str(path)) in found.cause
    assert do in found.do


def test_what_no_process_survives_is_told_by_its_type(tmp_path: Path):
    (tmp_path / "zoo.py").write_text(GOOD)
    source = file_source(tmp_path / "zoo.py")
    died = Failure(source=source, error_type="Died", message="exit 3", traceback="exit 3")
    assert "ended while it was imported: exit 3" in diagnose(died).cause
    twice = Failure(source=source, error_type="DuplicateName", message="taken", traceback="")
    assert diagnose(twice).cause == "taken" and "HARNESS_PLUGINS" in diagnose(twice).do


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    """Calls the command in a folder with a good plugin and one for another version."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo.py").write_text(GOOD)
    (tmp_path / "later.py").write_text(
        GOOD.replace('"net"', '"net7"') + "\nHARNESS_VERSIONS = '>=7'\nraise SystemError\n"
    )

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(words)
        said = capfd.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


def test_the_command_shows_status_hooks_and_cause(call: Call):
    both = ("--plugin", "zoo.py", "--plugin", "later.py")
    code, out, _ = call("plugins", *both, "--format", "json")
    records = {record["name"]: record for record in json.loads(out)}
    assert code == 0 and records["zoo"]["hooks"] == ["register_models"]
    assert records["zoo"]["entries"] == ["model net"] and records["zoo"]["status"] == "ok"
    assert records["later"]["status"] == "unavailable" and records["later"]["hooks"] == []
    code, out, err = call("plugins", "doctor", "net7", *both)
    assert code == 0 and "Traceback" in out and "SystemError" not in out
    assert "likely cause: it was not imported: it supports harness >=7" in out
    assert "nothing is wrong with it" in call("plugins", "doctor", "zoo.py")[1]
    assert call("plugins", *both, "doctor", "later")[1] == out
    code, _, err = call("plugins", "doctor", "zo", *both)
    assert code == 2 and "did you mean 'zoo'" in err
    assert "is unavailable: UnsupportedHarness" in call("list", *both)[2]


def test_an_entry_that_lacks_a_package_is_told_with_what_installs_it(call: Call):
    text = GOOD.replace('"net", Net', '"net", Net, requires=("no_such", "json")')
    Path("zoo.py").write_text(text)
    code, out, _ = call("plugins", "doctor", "net", "--plugin", "zoo.py")
    assert code == 0 and "nothing is wrong" not in out
    assert "likely cause: model net is unavailable: it requires no_such, not installed" in out
    assert out.endswith("what to do: pip install no_such\n")


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("/site/zoo/models.py", True),
        ("/site/zoo/models/deep.py", True),
        ("/site/bamboozoo/models.py", False),
        ("/site/zoo/models_of_others.py", False),
        ("/site/models/zoo.py", False),
    ],
)
def test_the_place_is_that_of_the_plugins_own_file(file: str, own: bool):
    source = Source(name="zoo", origin="distribution", target="zoo.models", version="1",
                    source_hash="0")  # fmt: skip
    frames = f'  File "{file}", line 3, in f\n  File "/lib/other.py", line 7, in g\n'
    found = diagnose(Failure(source=source, error_type="OSError", message="", traceback=frames))
    place = f"({file}, line 3)" if own else "(/lib/other.py, line 7)"
    assert found.cause == f"it raised OSError {place}"


def test_a_run_of_a_refused_plugin_is_unavailable(call: Call):
    code, out, _ = call("run", "-d", "digits", "-m", "net7", "--plugin", "later.py",
                        "--in-process", "--format", "json")  # fmt: skip
    (row,) = json.loads(out)
    assert (code, row["status"], row["phase"]) == (3, "unavailable", "load")
    assert "supports harness >=7" in row["error_message"]
    assert row["model_plugin"].startswith("later==")
