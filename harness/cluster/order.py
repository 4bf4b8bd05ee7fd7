"""What a worker is told of a run: one text, so that nothing but text is unpickled there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness.choices import Choice
from harness.deadlines import Limits
from harness.entries import Source
from harness.paths import cache_dir
from harness.plan import Run, run_from_json, run_to_json

# under which workers send what runs say
TOPIC = "harness"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One run as a task.

    Attributes:
      settings: fields of `harness.execute.Settings`.
      limits: its deadlines, which its worker keeps.
      store: URL of a store that the worker writes to itself; None leaves that to the command.
      place: columns that the command knows and the worker does not, such as the commit.
      paths: where the worker finds files that have another path here, below its cache folder.
      environment: what JAX is told by the environment, "" to say nothing.
      exclusive: whether the run has the machine alone among those that ask for it.
    """

    run: Run
    settings: Mapping[str, Any]
    limits: Limits = field(default_factory=Limits)
    store: str | None = None
    place: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    exclusive: bool = False

    def to_json(self) -> str:
        values = {**vars(self), "run": run_to_json(self.run), "limits": asdict(self.limits)}
        return json.dumps(values)

    def run_here(self) -> Run:
        """On a worker: the run with the paths that its files have there."""
        return _here(self.run, self.paths)


def _here(run: Run, paths: Mapping[str, str]) -> Run:
    own = None if run.optimizer is None else localized(run.optimizer, paths)
    some = {
        name: tuple(localized(choice, paths) for choice in getattr(run, name))
        for name in ("tasks", "metrics", "observers")
    }
    return replace(
        run, dataset=localized(run.dataset, paths), model=localized(run.model, paths),
        optimizer=own, others=tuple(_here(other, paths) for other in run.others), **some,
    )  # fmt: skip


def order_from_json(text: str) -> Order:
    """The inverse of `Order.to_json`."""
    values = json.loads(text)
    run, limits = run_from_json(values.pop("run")), Limits(**values.pop("limits"))
    return Order(run=run, limits=limits, **values)


def localized(choice: Choice, paths: Mapping[str, str]) -> Choice:
    """On a worker: a choice with the paths that its plugin and its data have there."""

    def here(value: Any) -> Any:
        known = isinstance(value, str) and value in paths
        return str(cache_dir() / paths[value]) if known else value

    source: Source = replace(choice.source, target=here(choice.source.target))
    params = {name: here(value) for name, value in choice.params.items()}
    return replace(choice, source=source, params=params)
