"""The row's columns are the contract's."""

from __future__ import annotations

from typing import get_args

import pytest

from harness import rows
from harness.rows import COLUMNS, EPOCH_COLUMNS, NAMES, Result, complete

# as the contract lists them
CONTRACT = {
    "identity": "run_id suite dataset dataset_variant dataset_params model variant parent "
    "model_params seed",
    "recipe": "optimizer learning_rate schedule batch_size epochs validation selection limit "
    "precision accumulate tune_trials",
    "outcome": "status phase error_type error_message log_path",
    "quality": "test_accuracy test_loss val_accuracy val_loss best_epoch train_loss",
    "size": "param_count flops_per_step bytes_per_step temp_bytes peak_rss_bytes hlo_hash",
    "time": "data_s compile_s compile_cache first_step_ms step_ms_p50 step_ms_p90 "
    "step_ms_mean examples_per_s host_overhead_pct data_wait_pct recompiles train_s eval_s "
    "observer_s timing_comparable",
    "place": "started_at host cpu_model device_kind device_count mesh executor commit dirty "
    "harness_version dataset_plugin model_plugin python_version jax_version jaxlib_version "
    "flax_version optax_version grain_version numpy_version",
}
ADDED = {
    "identity": ["run_key", "key_parts", "kind", "data_fingerprint", "variant_params"],
    "recipe": ["eval_batch_size", "vmap_seeds", "tune"],
    "quality": ["task", "metrics"],
    "size": ["comm_bytes_per_step", "device_peak_bytes", "params_hash", "saved_bytes"],
    "time": ["recompiled", "metric_s", "checkpoint_s", "resumed"],
    "place": ["process_count", "allocator", "other_plugins"],
}


@pytest.mark.parametrize("group", CONTRACT)
def test_a_groups_columns_are_the_contracts_in_its_order(group: str) -> None:
    found = [c.name for c in COLUMNS if c.group == group]
    added = ADDED.get(group, [])
    assert [name for name in found if name not in added] == CONTRACT[group].split()
    assert [name for name in found if name in added] == added


def test_groups_stand_in_the_contracts_order_and_no_column_twice() -> None:
    assert list(dict.fromkeys(c.group for c in COLUMNS)) == list(CONTRACT)
    assert len(set(NAMES)) == len(NAMES) == len(COLUMNS)


def test_types_are_known_and_units_fit_them() -> None:
    for column in COLUMNS:
        assert column.type in get_args(rows.Type)
        if column.name.endswith(("_s", "_ms", "_pct", "_accuracy", "_loss")):
            assert column.type == "float"
        if column.name.endswith(("_params",)):
            assert column.type == "json"


def test_statuses_are_the_contracts() -> None:
    contract = "ok failed timeout oom diverged skipped unavailable interrupted"
    assert rows.STATUSES == tuple(contract.split())


def test_a_row_has_every_column_in_order() -> None:
    row = complete({"seed": 3, "run_id": "ab"})
    assert tuple(row) == NAMES
    assert (row["run_id"], row["seed"]) == ("ab", 3)
    assert {v for k, v in row.items() if k not in ("run_id", "seed")} == {None}


def test_a_column_that_is_none_of_them_is_our_own_fault() -> None:
    with pytest.raises(KeyError, match="accuracy"):
        complete({"accuracy": 0.5})


def test_a_result_without_history_is_a_row_alone() -> None:
    result = Result(row=complete({}))
    assert (result.epochs, dict(result.arrays)) == ((), {})


def test_an_epochs_columns_are_a_rows_or_its_number() -> None:
    assert set(EPOCH_COLUMNS) - {"epoch"} <= set(NAMES)


def test_a_row_comes_back_from_a_store_with_what_every_store_takes() -> None:
    row = {"error_message": "gr\udcf6\udcdfe\0", "seed": 3, "model": "mlp"}
    assert rows.storable_row(row) == {
        "error_message": "gr\\udcf6\\udcdfe\\0", "seed": 3, "model": "mlp",
    }  # fmt: skip
