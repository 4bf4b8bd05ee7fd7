"""`harness new`, and all of the way from it to a row in the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main

QUICK = ("--epochs", "1", "--limit", "256", "--batch-size", "32")
# the one edit: what the model computes
BODY = (
    (
        "        self.head = ",
        "        self.wide = nnx.Linear(features, data.num_classes, rngs=rngs)\n"
        "        self.head = ",
    ),
    (
        "return self.head(nnx.relu(self.hidden(x)))",
        "return self.wide(x) + self.head(nnx.relu(self.hidden(x)))",
    ),
)


def new(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["new", *words])
    return int(left.value.code or 0)


def python(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "HARNESS_PLUGINS"} | variables
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_files_pass_their_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert new("model", "two_towers") == 0
    capsys.readouterr()
    assert new("dataset", "two_blobs") == 0
    said = capsys.readouterr()
    assert said.out.split() == ["two_blobs.py", "test_two_blobs.py"]
    assert said.err == "next: harness check two_blobs.py\n"
    done = python(tmp_path, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    # each check is a test, and one run each; neither digits nor made-up points have padding
    assert f"{9 + 14} passed, 2 skipped" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("wide-and-deep",), "'wide_and_deep'"),
        (("numpy", "--package"), "installed module"),
        (("taken", "--package"), "taken is there already"),
        (("deep", "--folder", "/dev/null"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_a_usage_error_of_one_line(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert new("model", *words) == 2
    said = capsys.readouterr()
    assert told in said.err and said.err.count("\n") == 1 and said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_it_imports_nothing_heavy(tmp_path: Path):
    program = (
        "import sys, harness.testing; from harness.cli import main\n"
        "try: main(['new', 'model', 'two_towers'])\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = python(tmp_path, "-c", program)
    assert not {"jax", "numpy", "pandas", "flax"} & set(done.stdout.split())
    assert (tmp_path / "two_towers.py").exists()


Harness = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(
    tmp_path_factory: pytest.TempPathFactory, shared_cache: Path
) -> tuple[Path, Harness]:
    """The folder of a model with a body of its own, and `python` where it is installed.

    A data set as it is written lies beside it and is installed, too.
    """
    folder = tmp_path_factory.mktemp("package")
    assert new("model", "wide_and_deep", "--package", "--folder", str(folder)) == 0
    assert new("dataset", "two_moons", "--package", "--folder", str(folder)) == 0
    package = folder / "wide-and-deep"
    code = package / "src" / "wide_and_deep" / "__init__.py"
    for before, after in BODY:
        assert before in code.read_text()
        code.write_text(code.read_text().replace(before, after))
    done = python(
        folder, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", "--target", str(folder / "site"), str(package),
        str(folder / "two-moons"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # a folder on the path in place of our own site-packages, which stay as they are
    paths = {"PYTHONPATH": str(folder / "site"), "HARNESS_CACHE_DIR": str(shared_cache)}
    return package, lambda *words: python(folder, *words, **paths)


def test_a_new_model_is_installed_checked_and_run(installed: tuple[Path, Harness]):
    _, call = installed
    checked = call("-m", "harness", "check", "wide_and_deep", "--format", "json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    outcomes = json.loads(checked.stdout)
    assert {one["plugin"] for one in outcomes} == {"wide-and-deep==0.1.0"}
    exempt = [one["check"] for one in outcomes if one["status"] != "pass"]
    assert len(outcomes) == 14 and exempt == ["padding_masked"]

    run = call("-m", "harness", "run", "-m", "wide_and_deep", "-d", "digits", *QUICK,
               "--format", "json")  # fmt: skip
    assert run.returncode == 0, run.stderr
    (row,) = json.loads(run.stdout)
    assert (row["status"], row["model_plugin"]) == ("ok", "wide-and-deep==0.1.0")
    # embedding, hidden layer, head, and what the edit added
    assert row["param_count"] == 17 * 32 + 33 * 32 + 33 * 10 + 33 * 10


def test_the_tests_of_distributions_pass_as_written(installed: tuple[Path, Harness]):
    package, call = installed
    folder = package.parent
    done = call("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
                "--rootdir", str(folder), str(package), str(folder / "two-moons"))  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert f"{14 + 9} passed, 2 skipped" in done.stdout


def test_our_environment_is_left_without_it(installed: tuple[Path, Harness]):
    done = python(installed[0].parent, "-c", "import wide_and_deep")
    assert "ModuleNotFoundError" in done.stderr
