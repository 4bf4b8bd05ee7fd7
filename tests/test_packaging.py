"""What gets installed: a wheel with all plugins, and nothing called `datasets`."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def run_with(path: Path, program: str, *, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, cwd=cwd, env=environment,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_wheel_holds_the_four_packages_and_no_folder_of_another_name(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {
        "harness", "harness_models", "harness_datasets", "harness_plugins",
    }  # fmt: skip
    for needed in (
        "harness/py.typed", "harness/default_suite.toml", "harness_models/py.typed",
        "harness/report/templates/report.html.jinja", "harness/report/templates/report.js",
    ):  # fmt: skip
        assert needed in names


def test_the_source_distribution_holds_documents_and_examples_as_they_are_kept(tmp_path: Path):
    words = [sys.executable, "-m", "hatchling", "build", "--target", "sdist"]
    subprocess.run([*words, "--directory", tmp_path], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "docs/conf.py", "docs/howto/csv.md", "docs/_templates/redirect.html",
        "examples/tutorial.ipynb", "examples/harness-brackets/pyproject.toml",
        "tests/pages.py", "models/README.md",
    } <= names  # fmt: skip
    assert not [name for name in names if name.startswith("docs/_build")]


def test_the_installed_wheel_finds_its_plugins_from_elsewhere(wheel: Path, tmp_path: Path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import harness, harness.index\n"
        "known = harness.index.open_registry()\n"
        "print(harness.__file__, *known.names('model'), *known.names('dataset'),"
        " len(known.failures))"
    )
    said = run_with(site, program, cwd=tmp_path).split()
    assert Path(said[0]).is_relative_to(site)
    assert {"majority", "mean_pool", "transformer", "digits", "imdb"} <= set(said[1:])
    assert said[-1] == "0"


def test_another_package_called_datasets_wins_even_in_the_root(tmp_path: Path):
    for name in ("datasets", "models"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("mine = True\n")
    program = "import datasets, models, harness; print(datasets.mine, models.mine)"
    assert run_with(tmp_path, program, cwd=ROOT) == "True True"


def test_no_python_file_lies_directly_in_the_source_roots():
    for folder in ("models", "datasets"):
        assert list((ROOT / folder).glob("*.py")) == []


def test_built_in_plugins_travel_to_another_process_by_name():
    from harness import registry, sources

    known = registry.load(sources.find_sources(allowed=""))
    assert len(known.entries) >= 5
    for entry in known.entries.values():
        assert pickle.loads(pickle.dumps(entry.build())) is entry.build()


def test_nothing_committed_names_an_index_host_or_a_lock():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [name for name in listed if name.endswith((".lock", ".npz", ".whl"))]
    hosts = ("pythonhosted" + ".org", "index" + "-url", "pypi" + ".org/simple")
    for name in listed:
        text = (ROOT / name).read_bytes()
        assert not any(host.encode() in text for host in hosts), name
