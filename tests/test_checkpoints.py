"""A training that is taken up again goes on to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import Bag, Heard, token_data

from harness import assemble, engine
from harness.api import Options
from harness.checkpoints import Checkpoint, Checkpoints
from harness.events import Note
from harness.recipe import Recipe


def tree(seed: int) -> dict[str, object]:
    key = jax.random.key(seed)
    return {
        "a": jax.random.normal(key, (3, 4)),
        "b": (jnp.int32(seed), jnp.zeros((0,)), key),
        "half": jnp.ones(3, jnp.bfloat16) * seed,
        "none": None,
    }


def same(one: object, two: object) -> bool:
    leaves = [
        [jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
         for x in jax.tree.leaves(t)] for t in (one, two)
    ]  # fmt: skip
    return all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(*leaves, strict=True)
    )


def test_trees_come_back_to_the_bit_random_keys_included(tmp_path: Path):
    own = Checkpoints(tmp_path / "run", every_s=60, resume=True)
    own.write(1, Checkpoint({"state": tree(1)}, {"x": 0.1 + 0.2}))
    own.write(2, Checkpoint({"state": tree(2), "best": tree(1)}, {"x": 0.3}))
    own.close()
    found = Checkpoints(tmp_path / "run", every_s=60, resume=True).read(
        {"state": tree(0), "best": tree(0)}
    )
    assert found is not None and found.told == {"x": 0.3}
    assert same(found.trees["state"], tree(2)) and same(found.trees["best"], tree(1))
    assert found.trees["state"]["b"][2].dtype == jax.random.key(0).dtype


def test_only_the_last_one_is_kept_and_nothing_after_the_end(tmp_path: Path):
    own = Checkpoints(tmp_path / "run", every_s=60)
    for step in (1, 2, 3):
        own.write(step, Checkpoint({"state": tree(step)}, {}))
    assert [p.name for p in (tmp_path / "run").iterdir() if p.name.isdigit()] == ["3"]
    own.clear()
    assert not (tmp_path / "run").exists()


def test_none_is_taken_up_unless_asked_for(tmp_path: Path):
    own = Checkpoints(tmp_path / "run", every_s=60)
    own.write(1, Checkpoint({"state": tree(1)}, {}))
    own.close()
    assert (
        Checkpoints(tmp_path / "run", every_s=60, resume=False).read({"state": tree(0)}) is None
    )
    assert (
        Checkpoints(tmp_path / "none", every_s=60, resume=True).read({"state": tree(0)}) is None
    )


def test_a_damaged_one_costs_a_line_and_no_run(tmp_path: Path):
    own = Checkpoints(tmp_path / "run", every_s=60)
    own.write(1, Checkpoint({"state": tree(1)}, {}))
    own.close()
    for file in (tmp_path / "run").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    notes: list[str] = []
    again = Checkpoints(tmp_path / "run", every_s=60, resume=True, note=notes.append)
    assert again.read({"state": tree(0)}) is None
    assert "could not be read" in notes[0] and "\n" not in notes[0]
    again.write(1, Checkpoint({"state": tree(2)}, {}))  # and the next one is written
    again.close()
    assert (
        Checkpoints(tmp_path / "run", every_s=60, resume=True).read({"state": tree(0)})
        is not None
    )


def test_one_of_another_shape_is_not_taken_up(tmp_path: Path):
    own = Checkpoints(tmp_path / "run", every_s=60)
    own.write(1, Checkpoint({"state": {"a": jnp.zeros(3)}}, {}))
    own.close()
    notes: list[str] = []
    again = Checkpoints(tmp_path / "run", every_s=60, resume=True, note=notes.append)
    assert again.read({"state": {"a": jnp.zeros(4)}}) is None and notes


def test_a_folder_that_cannot_be_written_costs_a_line_and_no_run(tmp_path: Path):
    (tmp_path / "file").write_text("")
    notes: list[str] = []
    own = Checkpoints(tmp_path / "file" / "run", every_s=0, note=notes.append)
    assert own.due()
    own.write(1, Checkpoint({"state": tree(1)}, {}))
    assert "could not be written" in notes[0] and not own.due()


class Killed(BaseException):
    """What a kill looks like from inside."""


class Dies(Checkpoints):
    """Ends the process, as far as a test can, behind its n-th checkpoint."""

    left = 0

    def write(self, step: int, checkpoint: Checkpoint) -> None:
        super().write(step, checkpoint)
        self.left -= 1
        if self.left == 0:
            self.close()
            raise Killed


RECIPES = [
    Recipe(epochs=3, batch_size=8),
    Recipe(epochs=4, batch_size=8, validation=0.25, select="best"),
    Recipe(epochs=2, batch_size=8, schedule="cosine_decay", optimizer="adamw", accumulate=2),
]


def fit(
    recipe: Recipe, own: Checkpoints | None = None, watched: engine.Watched | None = None
) -> tuple[object, Heard]:
    dataset, heard = token_data(), Heard()
    model = assemble.build_model(Bag, dataset.spec, {}, seed=0)
    state = engine.fit(
        model, dataset, recipe, seed=3, emit=heard, checkpoints=own, watched=watched
    )
    return state, heard


def without_times(epochs: list[dict]) -> list[dict]:
    return [{k: v for k, v in epoch.items() if not k.endswith("_s")} for epoch in epochs]


@pytest.mark.parametrize("recipe", RECIPES, ids=["last", "best", "schedule"])
@pytest.mark.parametrize("kills", [1, 3])
def test_a_killed_training_goes_on_to_the_bit(
    tmp_path: Path, recipe: Recipe, kills: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("harness.orders.CHUNK_STEPS", 3)
    state, one = fit(recipe)
    for _ in range(kills):
        dying = Dies(tmp_path / "run", every_s=0, resume=True)
        dying.left = 2
        with pytest.raises(Killed):
            fit(recipe, dying)
    again, two = fit(recipe, Checkpoints(tmp_path / "run", every_s=1e9, resume=True))
    assert same(state, again)
    for name in ("params_hash", "test_loss", "test_accuracy", "train_loss", "best_epoch"):
        assert one.measured[name] == two.measured[name], name
    assert (one.measured["resumed"], two.measured["resumed"]) == (0, kills)
    assert two.measured["checkpoint_s"] > 0
    assert without_times(one.epochs) == without_times(two.epochs)
    assert len(two.epochs) == recipe.epochs
    for name in ("train_loss", "test_predicted", "test_probability"):
        np.testing.assert_array_equal(one.arrays[name], two.arrays[name])


def test_a_checkpoint_of_another_program_is_not_taken_up(tmp_path: Path):
    dying = Dies(tmp_path / "run", every_s=0, resume=True)
    dying.left = 1
    with pytest.raises(Killed):
        fit(RECIPES[0], dying)
    own = Checkpoints(tmp_path / "run", every_s=1e9, resume=True)
    _, heard = fit(Recipe(epochs=3, batch_size=8, learning_rate=0.5), own)
    assert any("another program" in e.text for e in heard.events if isinstance(e, Note))
    assert heard.measured["resumed"] == 0


def test_a_checkpoint_of_other_data_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dying = Dies(tmp_path / "run", every_s=0, resume=True)
    dying.left = 1
    with pytest.raises(Killed):
        fit(RECIPES[0], dying)
    dataset = token_data()
    other = replace(dataset, spec=replace(dataset.spec, fingerprint="other"))
    monkeypatch.setattr(f"{__name__}.token_data", lambda: other)
    _, heard = fit(RECIPES[0], Checkpoints(tmp_path / "run", every_s=1e9, resume=True))
    assert any("other data" in e.text for e in heard.events if isinstance(e, Note))
    assert heard.measured["resumed"] == 0


def test_the_time_of_observers_goes_on_with_the_training(tmp_path: Path):
    dying = Dies(tmp_path / "run", every_s=0, resume=True)
    dying.left = 1
    with pytest.raises(Killed):
        fit(RECIPES[0], dying, engine.Nobody(seconds=1000.0))  # as if so long had gone by
    again = engine.Nobody(seconds=1.0)
    own = Checkpoints(tmp_path / "run", every_s=1e9, resume=True)
    assert fit(RECIPES[0], own, again)[1].measured["observer_s"] == 1001.0


def test_a_short_run_writes_none(tmp_path: Path):
    fit(RECIPES[0], Checkpoints(tmp_path / "run", every_s=60))
    assert not (tmp_path / "run").exists()
    assert Options().checkpoint_s >= 30  # unless the user says otherwise
