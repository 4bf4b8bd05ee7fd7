"""What every test starts from: a cache of its own, built-in plugins only, no user settings."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from called import Call, Said
from dask_cluster import Cluster, running_cluster
from file_server import Served, file_server
from postgres import Server, running_server

from harness import hookspecs, index, plugins, registry
from harness.entries import Entry, Failure, Source
from harness.worker import compilation_cache

# a slow machine is no fault of a property
hypothesis.settings.register_profile("harness", deadline=None)
hypothesis.settings.load_profile("harness")
# before JAX is imported: tests run where no accelerator is, and say so
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# compiling is most of the tests' time, and none of them measures speed: a third of it is left
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
# one for all processes that share the tests: the first makes it, the others inherit its name
KEPT = "HARNESS_TESTS_CACHE"
if KEPT not in os.environ:
    os.environ[KEPT] = tempfile.mkdtemp(prefix="harness-tests-")
    atexit.register(shutil.rmtree, os.environ[KEPT], ignore_errors=True)
# what two tests compile compiles once, in this process too
os.environ["HARNESS_CACHE_DIR"] = os.environ[KEPT]
os.environ.update(compilation_cache())

# files that take longest, longest first: one that began last would keep a single process busy
LONG = (
    "test_cluster_lost", "test_cluster", "test_vmapped",
    "test_gate_deterministic", "test_isolation", "test_cli_gate", "test_docs", "test_crash",
    "test_workers", "test_engine", "test_engine_clocks", "test_checks_perform",
    "test_gate_pairs", "test_checks_builtins", "test_examples", "test_cli",
    "test_checks_catalogue",
    "test_model_transformer", "test_cli_new", "test_site", "test_gate_workers", "test_spool",
    "test_testing", "test_api", "test_optimized", "test_dataset_text_file", "test_texts",
    "test_dataset_hf", "test_devices", "test_crew", "test_dataset_synthetic",
    "test_model_recurrent", "test_places", "test_cluster_benchmark",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; all others stay in their order."""
    assert all((Path(__file__).parent / f"{name}.py").exists() for name in LONG), LONG
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session")
def shared_cache() -> Path:
    """One cache folder for the whole test run, so that programs compile once."""
    return Path(os.environ[KEPT])


@pytest.fixture(autouse=True)
def clean_environment(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, store or plugins."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
    monkeypatch.setenv("HARNESS_PLUGINS", "")
    monkeypatch.delenv("HARNESS_STRICT_PLUGINS", raising=False)
    monkeypatch.delenv("HARNESS_STORE", raising=False)
    for name in compilation_cache():
        # a command that is called in this process sets it; set and taken back, it is undone
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def file_source(name: str = "test", target: str = "test.py") -> Source:
    return Source(name=name, origin="file", target=target, version="1", source_hash="0")


@pytest.fixture
def make_registry() -> Callable[..., registry.Registry]:
    """Builds a registry from functions that register models, each a plugin of its own."""

    def make(*functions: Callable[..., None]) -> registry.Registry:
        manager = plugins.new_manager()
        results = []
        for i, function in enumerate(functions):
            plugin = type("Plugin", (), {})()
            hook = staticmethod(hookspecs.hookimpl(function))
            setattr(type(plugin), function.__name__, hook)
            source = file_source(f"plugin{i}", f"plugin{i}.py")
            results.append((source, plugins.register(manager, plugin, source)))
        return registry.join(results)

    return make


@pytest.fixture
def strict_jax() -> Iterator[None]:
    """Models spell out dtypes and ranks; for a whole file: `usefixtures("strict_jax")`."""
    import jax

    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def real_imdb() -> bool:
    """Whether the real IMDB files are at hand."""
    folder = os.environ.get("HARNESS_DATA_DIR")
    return folder is not None and (Path(folder) / "imdb" / "imdb.npz").is_file()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A private PostgreSQL server on loopback."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with two workers that no test kills."""
    with running_cluster(tmp_path_factory.mktemp("two"), "one", "other") as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that is not there yet, in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rows.db"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def described_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins are described in this process: for tests that are not about the child."""

    def describe(sources: list[Source]) -> dict[Source, list[Entry] | Failure]:
        manager = plugins.new_manager()
        return {source: plugins.load(manager, source) for source in sources}

    monkeypatch.setattr(index, "describe", describe)


@pytest.fixture(scope="module")
def known(shared_cache: Path) -> Iterator[registry.Registry]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        yield index.open_registry([Path(__file__).parent / "plugins_for_tests.py"])


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server on loopback that follows a script."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with file_server() as state:
        yield state


@pytest.fixture
def call(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    """Calls the command in an empty folder."""
    from harness.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Said:
        with pytest.raises(SystemExit) as left:
            main(words)
        assert isinstance(left.value.code, int)
        said = capfd.readouterr()
        return Said(left.value.code, said.out, said.err)

    return call
