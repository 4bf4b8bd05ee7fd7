from __future__ import annotations

import types

import harness

PUBLIC = {
    "ContractError", "DataError", "DataFile", "DataSpec", "Dataset", "HarnessError",
    "LocatedFile", "Predictions", "Register", "Task", "Unavailable", "Unsupported",
    "UsageError", "build_model", "cache_dir", "hookimpl", "load", "load_dataset",
    "load_examples", "load_history", "load_model", "locate_files", "run",
}  # fmt: skip


def test_the_public_surface_is_this_and_no_more():
    names = {
        name
        for name, value in vars(harness).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert names == PUBLIC


def test_everything_public_says_what_it_is():
    for name in PUBLIC - {"hookimpl"}:
        assert (getattr(harness, name).__doc__ or "").strip(), name


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert harness.__version__ == version("model-zoo-harness")
