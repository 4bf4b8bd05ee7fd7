"""What a run says while it goes on, and the row folded from it.

A run speaks in events only; they cross the pipe from a worker as lines of JSON. Whoever
listens folds them into a `Result`, so that a run that dies leaves all that it had said.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from harness.rows import EPOCH_TYPES, TYPES, Result, check_value, complete, storable


@dataclass(frozen=True)
class Phase:
    """The run enters a phase: "start", "data", "construct", "compile", "train", ..."""

    name: str


@dataclass(frozen=True)
class Measured:
    """Columns of the row that are known now."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """Training has come this far; `loss` is the last step's training loss."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    examples_per_s: float


@dataclass(frozen=True)
class EpochEnd:
    """One epoch's history, with the names of `EPOCH_COLUMNS`."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Array:
    """A result array by name: the bytes of a .npy file."""

    name: str
    npy: bytes


@dataclass(frozen=True)
class Transfer:
    """A download or another long preparation has come this far."""

    description: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Note:
    """One line that the user should see."""

    text: str


@dataclass(frozen=True)
class Again:
    """The run begins anew elsewhere: what it had said until now does not count."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The run is over; `error_type` is empty where `status` is "ok"."""

    status: str
    error_type: str = ""
    error_message: str = ""


@dataclass(frozen=True)
class Of:
    """What is said of one seed where a program trains several; the rest is of all of them."""

    seed: int
    said: Event


Event = Phase | Measured | Progress | EpochEnd | Array | Transfer | Note | Again | Ended | Of
SIMPLE = (Phase, Measured, Progress, EpochEnd, Array, Transfer, Note, Again, Ended)
KINDS: dict[str, type[Any]] = {t.__name__: t for t in SIMPLE}

# the types of fields that hold one plain value
PLAIN: dict[str, Any] = {
    "str": str, "int": int, "float": (int, float), "int | None": (int, type(None)),
}  # fmt: skip


def to_line(event: Event) -> str:
    """An event as one line of JSON, with the name of its type."""
    return json.dumps(_to_json(event))


def _to_json(event: Event) -> dict[str, Any]:
    values = dict(vars(event))
    if isinstance(event, Of):
        values["said"] = _to_json(event.said)
    elif isinstance(event, Array):
        values["npy"] = base64.b64encode(event.npy).decode()
    return {"event": type(event).__name__, **values}


def from_line(line: str) -> Event:
    """The inverse of `to_line`."""
    values = json.loads(line)
    if isinstance(values, dict) and values.get("event") == Of.__name__:
        of = Of(values["seed"], _simple(values["said"]))
        _check(of)
        return of
    return _simple(values)


def _simple(values: Any) -> Event:
    if not isinstance(values, dict) or not isinstance(values.get("values", {}), dict):
        raise ValueError("no event")
    kind = KINDS[values.pop("event")]
    if kind is Array:
        values["npy"] = base64.b64decode(values["npy"])
    event = kind(**values)
    _check(event)
    return event


def _check(event: Event) -> None:
    """Refuses what only a plugin that writes to its worker's pipe could have said.

    Raises:
      ValueError: a value is of another type than its field or its column.
    """
    columns = {Measured: TYPES, EpochEnd: EPOCH_TYPES}.get(type(event))
    if columns is not None:
        for name, value in event.values.items():  # type: ignore[union-attr]
            if name not in columns:
                raise ValueError(f"no column {name!r}")
            # text is made storable where it is stored
            plain = storable(value) if isinstance(value, str) else value
            check_value(name, plain, columns[name])
    for field_ in fields(event):
        wanted = PLAIN.get(str(field_.type))
        if wanted is not None and not isinstance(getattr(event, field_.name), wanted):
            raise ValueError(f"{field_.name} is no {field_.type}")


@dataclass
class Collector:
    """Folds a run's events into its result.

    Attributes:
      planned: the columns known before the run started.
    """

    planned: Mapping[str, Any]
    phase: str = "start"
    ended: Ended | None = None
    measured: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, bytes] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        if isinstance(event, Phase):
            self.phase = event.name
        elif isinstance(event, Measured):
            self.measured |= event.values
        elif isinstance(event, EpochEnd):
            self.epochs.append(dict(event.values))
        elif isinstance(event, Array):
            self.arrays[event.name] = event.npy
        elif isinstance(event, Again):
            self.measured, self.epochs, self.arrays, self.ended = {}, [], {}, None
        elif isinstance(event, Ended):
            self.ended = event

    def result(self) -> Result:
        """The result; a run that never said that it ended has failed."""
        ended = self.ended or Ended("failed", "Died", "the run ended without a word")
        outcome = {
            "status": ended.status,
            "phase": "" if ended.status == "ok" else self.phase,
            "error_type": ended.error_type,
            "error_message": ended.error_message,
        }
        row = complete({**self.planned, **self.measured, **outcome})
        return Result(row=row, epochs=tuple(self.epochs), arrays=dict(self.arrays))
