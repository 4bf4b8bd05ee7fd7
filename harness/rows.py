"""The columns of a row: what one planned run leaves behind, whatever happened to it.

The order here is the order in the store, in CSV and in JSON. A column that does not
apply is None. Units stand in the names; `docs/columns.md` says how each is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Type = Literal["text", "int", "float", "bool", "json"]
Row = dict[str, Any]

STATUSES = (
    "ok", "failed", "timeout", "oom", "diverged", "skipped", "unavailable", "interrupted",
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column: its group is the heading it stands under in the documentation."""

    name: str
    type: Type
    group: str


def _group(name: str, columns: str) -> list[Column]:
    """Reads `"name:type name:type ..."`; text where no type is given."""
    pairs = [item.partition(":") for item in columns.split()]
    return [Column(n, t or "text", name) for n, _, t in pairs]  # type: ignore[arg-type]


COLUMNS: tuple[Column, ...] = (
    *_group(
        "identity",
        "run_id run_key key_parts:json kind suite dataset dataset_variant dataset_params:json "
        "data_fingerprint model variant parent model_params:json variant_params:json seed:int",
    ),
    *_group(
        "recipe",
        "optimizer learning_rate:float schedule batch_size:int eval_batch_size:int "
        "epochs:int validation:float selection limit:int precision accumulate:int "
        "vmap_seeds:int "
        "tune_trials:int tune:json",
    ),
    *_group("outcome", "status phase error_type error_message log_path"),
    *_group(
        "quality",
        "test_accuracy:float test_loss:float val_accuracy:float val_loss:float "
        "best_epoch:int train_loss:float task metrics:json",
    ),
    *_group(
        "size",
        "param_count:int flops_per_step:float bytes_per_step:float temp_bytes:int "
        "comm_bytes_per_step:float peak_rss_bytes:int device_peak_bytes:int hlo_hash "
        "params_hash saved_bytes:int",
    ),
    *_group(
        "time",
        "data_s:float compile_s:float compile_cache first_step_ms:float "
        "step_ms_p50:float step_ms_p90:float step_ms_mean:float examples_per_s:float "
        "host_overhead_pct:float data_wait_pct:float recompiles:int recompiled train_s:float "
        "eval_s:float metric_s:float observer_s:float checkpoint_s:float resumed:int "
        "timing_comparable:bool",
    ),
    *_group(
        "place",
        "started_at host cpu_model device_kind device_count:int mesh process_count:int "
        "executor allocator commit dirty:bool harness_version dataset_plugin model_plugin "
        "other_plugins:json python_version "
        "jax_version jaxlib_version flax_version optax_version grain_version "
        "numpy_version",
    ),
)
# what a row that is older than a column has in it
OLDER: Mapping[str, Any] = {"vmap_seeds": 1, "device_count": 1, "process_count": 1}
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
TYPES: Mapping[str, Type] = {column.name: column.type for column in COLUMNS}


def up_to_date(row: Row) -> Row:
    """A row with what it would have in the columns that are newer than it is."""
    return row | {name: value for name, value in OLDER.items() if row[name] is None}


def storable(text: str) -> str:
    """A text as every database and file takes it: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def storable_row(row: Row) -> Row:
    """A row as it comes back from a store: its texts are `storable`."""
    return {k: storable(v) if isinstance(v, str) else v for k, v in row.items()}


def plain(value: Any, kind: Type) -> Any:
    """A value as every database takes it: no NumPy scalar, no NaN, no NUL in text."""
    if value is None or (kind in ("int", "float") and value != value):
        return None
    if kind == "bool":
        return bool(value)
    if kind == "float":
        return float(value)
    if kind == "int":
        return int(value)
    return storable(str(value))


def check_value(name: str, value: Any, kind: Type) -> None:
    """Refuses what no store could hold as a value of a type.

    Raises:
      ValueError: names the value and the type.
    """
    if value is None:
        return
    types = {"text": str, "json": str, "int": int, "float": int | float, "bool": bool}
    fits = isinstance(value, types[kind]) and (kind == "bool" or not isinstance(value, bool))
    if not fits or (kind == "int" and not -(2**63) <= value < 2**63):
        raise ValueError(f"{name} is {value!r:.40}, expected {kind}")
    if kind == "float":
        float(value)
    elif kind == "json":
        if not isinstance(json.loads(str(value)), dict):
            raise ValueError(f"{name} is {value!r:.40}, expected an object")
    elif kind == "text":
        str(value).encode()  # half a surrogate pair cannot be


def complete(values: Mapping[str, Any]) -> Row:
    """A row with every column, in order; what `values` lacks is None.

    Raises:
      KeyError: `values` has a name that is no column, which is our own fault.
    """
    unknown = set(values) - set(NAMES)
    if unknown:
        raise KeyError(f"no such columns: {sorted(unknown)}")
    return {name: values.get(name) for name in NAMES}


@dataclass(frozen=True, kw_only=True)
class Result:
    """All that one run leaves in the store.

    Attributes:
      row: every column of `COLUMNS`.
      epochs: one dict an epoch, with the names of `EPOCH_COLUMNS`.
      arrays: arrays by name, each as the bytes of a .npy file: "train_loss" float32
        [steps], "block_steps" int32 and "block_s" float64 [blocks], "test_predicted"
        uint8 or uint16 [n] and "test_probability" float16 [n], "test_label" of the type
        of the predictions [n, ...], what would have been right; with --save those of
        `harness.saved`.
    """

    row: Row
    epochs: tuple[dict[str, Any], ...] = ()
    arrays: Mapping[str, bytes] = field(default_factory=dict)


EPOCH_COLUMNS: tuple[str, ...] = (
    "epoch", "train_loss", "test_loss", "test_accuracy", "val_loss", "val_accuracy",
    "train_s", "eval_s",
)  # fmt: skip
EPOCH_TYPES: Mapping[str, Type] = {
    name: "int" if name == "epoch" else "float" for name in EPOCH_COLUMNS
}
