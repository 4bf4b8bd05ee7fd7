"""Every built-in keeps its contract, by the checks that authors of plugins use."""

from __future__ import annotations

import pytest

from harness import index, testing
from harness.checks import names
from harness.entries import Entry

# small, but with every part that the entry has
SMALL = "embed_dim=4,num_heads=2,ff_dim=4,head_units=4"
DATASETS = (
    "digits",
    "digit_traits",
    "diabetes",
    "listops[n_train=300,n_test=100]",
    "synthetic[n_train=300,n_test=100]",
)
WITHOUT_MASK = (
    "majority",
    "mlp[units=4]",
    "mean_pool[width=8]",
    f"transformer[{SMALL}]",
    # it does leave padding out, but has rows of n-grams beside those of tokens
    "nb_svm[buckets=1024]",
)
CHECKED = (
    *DATASETS,
    *WITHOUT_MASK,
    "mean_pool:masked[width=8]",
    f"transformer:masked[{SMALL}]",
    "fnet[embed_dim=8,ff_dim=8]",
    "gru[embed_dim=8,units=8]",
    f"hierarchical[{SMALL}]",
    f"linear_attention[{SMALL}]",
    "lru[embed_dim=8,state_dim=8]",
    "lstm[embed_dim=8,units=8]",
    "mlp_mixer[embed_dim=8,token_dim=8,channel_dim=8]",
    "ngrams[buckets=1024]",
    "selective[embed_dim=8,state_dim=2]",
    "text_cnn[embed_dim=8,maps=8]",
)
# these need files of the user's
WITH_FILES = ("imdb",)
# and these are checked beside their own tests, on files that those write
ELSEWHERE = ("hf", "pixels", "text_file")


# those that say something about a model on the labels of another task
ON_OTHER_TASKS = (("mlp[units=32]", "diabetes"), ("mean_pool[width=8]", "digit_traits"))


def performed(selection: str, *, dataset: str = "digits") -> list[str]:
    """Performs all checks of an entry; the names of those that do not apply."""
    left = []
    for check in testing.checks(selection, dataset=dataset):
        try:
            check()
        except pytest.skip.Exception as reason:
            assert str(reason).startswith("exempt: ")
            left.append(check.name)
    return left


# a test for each entry: what its checks share would be made in every process of the tests
@pytest.mark.parametrize("selection", CHECKED)
def test_a_built_in_passes(selection: str):
    left = performed(selection)
    assert ("padding_masked" in left) == (selection in WITHOUT_MASK)
    assert set(left) <= {"padding_masked", "lengths", *WITHOUT_PARAMETERS, *left_out(selection)}


def left_out(selection: str) -> tuple[str, ...]:
    return ("decodes",) if selection == "diabetes" else ()


@pytest.mark.parametrize(("selection", "dataset"), ON_OTHER_TASKS)
def test_a_built_in_passes_on_data_of_another_task(selection: str, dataset: str):
    assert performed(selection, dataset=dataset) == ["padding_masked"]


WITHOUT_PARAMETERS = ("same_seed", "gradients_reach", "overfits")


@pytest.mark.parametrize("selection", WITH_FILES)
def test_a_built_in_with_files_passes(selection: str, real_imdb: bool):
    if not real_imdb:
        pytest.skip("HARNESS_DATA_DIR holds no imdb/imdb.npz; its checks were not performed")
    assert performed(selection) == []


def test_every_built_in_is_among_them(known):
    built_in = [e for e in index.open_registry().entries.values() if _has_checks(e)]
    listed = (*CHECKED, *WITH_FILES, *ELSEWHERE)
    named = {name.partition("[")[0].partition(":")[0] for name in listed}
    assert {entry.name for entry in built_in} == named
    masked = {f"{e.name}:masked" for e in built_in if "masked" in e.variants}
    assert masked and masked <= {name.partition("[")[0] for name in CHECKED}


def _has_checks(entry: Entry) -> bool:
    return entry.source.origin == "built-in" and entry.kind in names.OF
