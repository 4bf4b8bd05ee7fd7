"""Entries travel as JSON and come back the same, without what cannot travel."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.entries import Entry, Parameter, Scalar, Source, entry_from_json, entry_to_json
from harness.specs import DataFile

SOURCE = Source(
    name="kit", origin="distribution", target="kit.models", version="1.2", source_hash="ab"
)
NAMES = st.from_regex(r"[a-z_][a-z0-9_.]{0,8}", fullmatch=True)
SCALARS: st.SearchStrategy[Scalar] = st.one_of(
    st.integers(), st.floats(allow_nan=False), st.booleans(), st.text(), st.none()
)
PARAMETERS = st.builds(
    Parameter,
    name=NAMES,
    type=st.sampled_from(["int", "float", "bool", "str"]),
    default=SCALARS,
    optional=st.booleans(),
    choices=st.lists(SCALARS, max_size=3).map(tuple),
    minimum=st.none() | st.floats(allow_nan=False),
    maximum=st.none() | st.floats(allow_nan=False),
)
ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(["model", "dataset"]),
    name=NAMES,
    source=st.just(SOURCE),
    parameters=st.lists(PARAMETERS, max_size=3).map(tuple),
    variants=st.dictionaries(NAMES, st.dictionaries(NAMES, SCALARS, max_size=2), max_size=2),
    description=st.text(),
    paper=st.text(),
    requires=st.lists(NAMES, max_size=2).map(tuple),
    exempt=st.dictionaries(NAMES, st.text(), max_size=2),
)


@given(ENTRIES)
def test_entry_survives_the_way_through_json(entry: Entry) -> None:
    assert entry_from_json(json.loads(json.dumps(entry_to_json(entry)))) == entry


def test_factory_and_files_stay_behind() -> None:
    entry = Entry(
        kind="dataset", name="a", source=SOURCE, factory=dict,
        files=(DataFile(name="a.npz", url="https://example.org/a.npz", check=print),),
    )  # fmt: skip
    values = entry_to_json(entry)
    assert "factory" not in values and "files" not in values
    back = entry_from_json(json.loads(json.dumps(values)))
    assert back.factory is None and back.files == ()


def test_entry_without_factory_cannot_build() -> None:
    with pytest.raises(RuntimeError, match="'?a'? was planned but not loaded"):
        Entry(kind="model", name="a", source=SOURCE).build()


def test_defaults_by_name() -> None:
    parameters = (
        Parameter(name="width", type="int", default=32),
        Parameter(name="norm", type="str", default=None, optional=True),
    )
    entry = Entry(kind="model", name="a", source=SOURCE, parameters=parameters)
    assert entry.defaults == {"width": 32, "norm": None}


def test_source_names_itself_for_rows_and_for_errors() -> None:
    assert SOURCE.label == "kit==1.2"
    assert SOURCE.place == "distribution kit.models"
