"""A run's module, built again from the store."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import Bag, arrays
from stored import npy

import harness
from harness import program
from harness.errors import StoreError
from harness.rows import Result
from harness.store import open_store
from harness.trained import restore

QUICK: dict[str, Any] = {"epochs": 1, "limit": 200, "batch_size": 64, "eval_batch_size": 64}
PLUGIN = """
import harness
from flax import nnx

class Mine(nnx.Module):
    def __init__(self, data, *, width: int = 4, rngs):
        self.embed = nnx.Embed(data.vocab_size, width, rngs=rngs)
        self.head = nnx.Linear(width, data.num_classes, rngs=rngs)

    def __call__(self, tokens):
        return self.head(self.embed(tokens).mean(axis=1))

@harness.hookimpl
def register_models(register):
    register("mine", Mine)
"""
Results = dict[str, Result]


@pytest.fixture(scope="module")
def made(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """Results with their parameters by model."""
    folder = tmp_path_factory.mktemp("trained")
    url = f"sqlite:///{folder}/rows.db"
    (folder / "mine.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        more: dict[str, Any] = {"store": url, "save": True, **QUICK}
        # a worker process costs seconds: one sends its megabytes, the rest are here
        harness.run("digits", "mine[width=30000]", plugins=[folder / "mine.py"], **more)
        small = ["transformer[groups=1]", "mean_pool", "majority"]
        harness.run("digits", small, in_process=True, **more)
        best = {"validation": 0.2, "select": "best", "precision": "bfloat16"}
        harness.run("digits", Bag, **best, **more)
    with open_store(url) as store:
        yield {result.row["model"]: result for result in store.results()}


@pytest.fixture
def url(made: Results, tmp_path: Path) -> str:
    return add(f"sqlite:///{tmp_path}/rows.db", *made.values())


def add(url: str, *results: Result) -> str:
    with open_store(url) as store:
        for result in results:
            store.add(result)
    return url


def changed(result: Result, **values: Any) -> Result:
    return Result(
        row={**result.row, **values}, epochs=result.epochs, arrays=dict(result.arrays)
    )


def agrees(url: str, row: dict[str, Any], *, model: Any = None) -> None:
    """What the module says of the test examples is what the run had said."""
    with open_store(url) as store:
        found = restore(store, row, model=model, note=pytest.fail)
        predicted = store.array(row["run_id"], "test_predicted")
        probability = store.array(row["run_id"], "test_probability")
    assert predicted is not None and probability is not None
    x = jnp.asarray(arrays(harness.load_dataset("digits").test)["x"][:200])
    outputs, probabilities = found.split.judge(found.params, found.rest, x)
    np.testing.assert_array_equal(outputs.argmax(axis=1), predicted)
    np.testing.assert_allclose(probabilities.max(axis=1), probability, atol=2e-3)
    if row["precision"] == "float32":
        np.testing.assert_allclose(found.module(x), outputs, atol=1e-5)
    assert program.params_hash(nnx.state(found.module, nnx.Param)) == row["params_hash"]


@pytest.mark.parametrize("name", ["transformer", "mean_pool", "majority"])
def test_a_module_says_what_the_run_had_said(made: Results, url: str, name: str):
    agrees(url, made[name].row)


def test_so_does_one_of_a_class_with_statistics_in_half_precision(made: Results, url: str):
    row = made["Bag"].row
    agrees(url, row, model=Bag)
    module: Any = harness.load_model(row["run_id"], store=url, model=Bag)
    assert module.head.kernel.dtype == jnp.float32 and module.head.dtype == jnp.bfloat16
    assert module.norm.use_running_average and module.dropout.deterministic
    assert np.abs(module.norm.mean[...]).max() > 0
    assert module.dropout.rngs.count[...] > 0


def test_every_database_gives_the_same_bits_of_megabytes(
    made: Results, store_url: str, tmp_path: Path
):
    row = made["mine"].row
    assert row["executor"] == "process" and row["saved_bytes"] > 3e6
    add(store_url, made["mine"])
    (tmp_path / "mine.py").write_text(PLUGIN)
    module = harness.load_model(
        row["run_id"][:5], store=store_url, plugins=[tmp_path / "mine.py"]
    )
    assert program.params_hash(nnx.state(module, nnx.Param)) == row["params_hash"]


def test_the_store_is_the_commands(
    made: Results, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run_id = made["majority"].row["run_id"]
    monkeypatch.setenv("HARNESS_STORE", url)
    assert harness.load_model(run_id)
    monkeypatch.delenv("HARNESS_STORE")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.db").rename(tmp_path / "harness.db")
    assert harness.load_model(run_id)


def test_a_plugin_file_is_named(made: Results, url: str, tmp_path: Path):
    run_id = made["mine"].row["run_id"]
    with pytest.raises(harness.UsageError, match=r"no plugin has its model 'mine'.*--plugin"):
        harness.load_model(run_id, store=url)
    plugin = tmp_path / "elsewhere" / "mine.py"
    plugin.parent.mkdir()
    plugin.write_text(PLUGIN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert harness.load_model(run_id, store=url, plugins=[plugin])
    plugin.write_text(PLUGIN + "# another version\n")
    with pytest.warns(UserWarning, match=r"trained with plugin mine==.*here is mine==") as told:
        harness.load_model(run_id, store=url, plugins=[plugin])
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("data.vocab_size, width", "data.vocab_size, 2 * width", "embed/embedding was float32"),
        ("width: int = 4", "size: int = 4", "unexpected keyword argument 'width'"),
        ("self.head = ", "self.tail = ", "head/bias was kept"),
    ],
)
def test_another_version_whose_state_does_not_fit_is_one_line(
    made: Results, url: str, tmp_path: Path, old: str, new: str, why: str
):
    (tmp_path / "mine.py").write_text(PLUGIN.replace(old, new))
    with pytest.raises(harness.UsageError, match=why) as caught:
        harness.load_model(
            made["mine"].row["run_id"], store=url, plugins=[tmp_path / "mine.py"]
        )
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("mine==") == 2


def test_a_class_of_another_process_is_asked_for(made: Results, url: str):
    with pytest.raises(harness.UsageError, match="give it as model="):
        harness.load_model(made["Bag"].row["run_id"], store=url)


def test_runs_without_parameters_say_what_keeps_them(made: Results, tmp_path: Path):
    plain = made["majority"]
    url = add(
        f"sqlite:///{tmp_path}/other.db",
        changed(plain, run_id="plain", saved_bytes=None),
        changed(plain, run_id="failed", saved_bytes=None, status="failed"),
    )
    for run_id, why in (
        ("plain", "run plain kept no parameters; `harness run --save` keeps them"),
        ("failed", "run failed is failed and has no trained parameters"),
        ("none", "no run starts with 'none'"),
    ):
        with pytest.raises(harness.UsageError, match=why) as caught:
            harness.load_model(run_id, store=url)
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="does not exist"):
        harness.load_model("plain", store=f"sqlite:///{tmp_path}/absent.db")


def test_damaged_parameters_are_one_line(made: Results, tmp_path: Path):
    result = made["mean_pool"]
    name = next(n for n in result.arrays if n.startswith("saved/"))
    shape = np.load(io.BytesIO(result.arrays[name])).shape
    for run_id, npy_bytes, why in (
        ("zeros", npy(np.zeros(shape)), "their hash is not the row's"),
        ("cut", result.arrays[name][:-3], "is damaged"),
        ("absent", None, f"there is no array '{name}'"),
    ):
        other = changed(result, run_id=run_id)
        kept = dict(other.arrays)
        del kept[name]
        if npy_bytes is not None:
            kept[name] = npy_bytes
        url = add(f"sqlite:///{tmp_path}/{run_id}.db", Result(row=other.row, arrays=kept))
        with pytest.raises(StoreError, match=why) as caught:
            harness.load_model(run_id, store=url)
        assert "\n" not in str(caught.value)


def test_without_a_store_there_is_nowhere_to_keep_parameters():
    with pytest.raises(harness.UsageError, match="name one with store="):
        harness.run("digits", "majority", save=True)


def test_what_cannot_be_kept_costs_a_note_and_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = f"sqlite:///{tmp_path}/rows.db"
    monkeypatch.setattr("harness.saved.LIMIT_BYTES", 8)
    frame = harness.run("digits", "majority", save=True, store=url, in_process=True, **QUICK)
    assert list(frame["status"]) == ["ok"] and frame["saved_bytes"].dropna().tolist() == []


def test_resume_trains_again_what_was_not_kept(tmp_path: Path):
    saves = (False, True, True, False)
    more: dict[str, Any] = {
        "store": f"sqlite:///{tmp_path}/rows.db",
        "in_process": True,
        "resume": True,
    }
    frames = [harness.run("digits", "majority", save=s, **more, **QUICK) for s in saves]
    first, saved, *later = [frame["run_id"].iloc[0] for frame in frames]
    assert first != saved
    assert later[0] == saved and later[1] in (first, saved)
    assert frames[1]["saved_bytes"].iloc[0] > 0


def test_a_save_changes_no_key(made: Results):
    plain = harness.run("digits", "mean_pool", in_process=True, **QUICK).iloc[0]
    saved = made["mean_pool"].row
    assert plain["run_key"] == saved["run_key"]
    assert plain["params_hash"] == saved["params_hash"]
    assert saved["saved_bytes"] >= 4 * saved["param_count"]
