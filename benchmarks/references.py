"""Reference accuracies: whether every model still learns what it learnt when it was written.

    python -m benchmarks.references --write benchmarks/results/references.json
    python -m benchmarks.references --write benchmarks/results/references.json --model gru
    python -m benchmarks.references --check benchmarks/results/references.json

The second writes one model anew, or the first time, beside the others of the file.

Each entry of `references.toml` is trained from the same seeds on the same part of its data,
in about a minute. With the same versions on the same kind of processor the accuracies are the
same to the bit, and `--check` says so: whatever else it says there was done by the code.
Elsewhere they may differ by what other sums and other random numbers do, which is what seeds
do too. So a mean is off if it is further from its reference than three standard errors of
the difference, two to five points of accuracy: a layer that broke, not one that did little.
How much seeds differ is the reference's, and at least what they do in all models together,
since three seeds alone say little of it: a model that has become unstable is not allowed more.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd

import harness
from harness import machine

ASKED = Path(__file__).with_name("references.toml")
ERRORS = 3  # standard errors


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the seeds of one model came to.

    Attributes:
      accuracies: on the test set, one a seed.
      param_count: of the model at these sizes of data.
      data_fingerprint: of what it was trained on.
      commit: of the harness; "" where none is known.
      date: of the first run, in UTC.
    """

    accuracies: tuple[float, ...]
    param_count: int
    data_fingerprint: str
    commit: str
    date: str

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracies)

    @property
    def variance(self) -> float:
        """Of one seed."""
        return statistics.variance(self.accuracies) if len(self.accuracies) > 1 else 0.0


def shared_variance(references: Mapping[str, Reference]) -> float:
    """Of one seed, the mean over the models that were trained."""
    trained = [one.variance for one in references.values() if one.param_count]
    return statistics.fmean(trained) if trained else 0.0


def allowed(reference: Reference, *, shared: float) -> float:
    """The largest difference of a mean from the reference's that is none.

    Args:
      shared: the variance of one seed in all models together.
    """
    variance = max(shared, reference.variance)
    return ERRORS * math.sqrt(2 * variance / len(reference.accuracies))


def verdict(reference: Reference, now: Reference, *, shared: float) -> str:
    """What is wrong; "" if nothing is."""
    if reference.data_fingerprint != now.data_fingerprint:
        return "the data are others"
    if reference.param_count != now.param_count:
        return f"{now.param_count:,} parameters in place of {reference.param_count:,}"
    difference, most = now.mean - reference.mean, allowed(reference, shared=shared)
    return f"{difference:+.4f}, more than {most:.4f}" if abs(difference) > most else ""


def measure(models: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Reference]:
    """Trains models as `references.toml` says.

    Raises:
      ClickException: a run is not ok.
    """
    found = {}
    for model in models:
        frame = harness.run(
            asked["dataset"], model, seeds=asked["seeds"], epochs=asked["epochs"],
            limit=asked["limit"], learning_rate=asked["learning_rate"][model],
        )  # fmt: skip
        found[model] = _reference(model, frame)
        click.echo(f"{model:16} {found[model].mean:.4f}", err=True)
    return found


def _reference(model: str, frame: pd.DataFrame) -> Reference:
    failed = frame.loc[frame["status"] != "ok"]
    if len(failed):
        raise click.ClickException(f"{model}: {failed['error_message'].iloc[0]}")
    return Reference(
        accuracies=tuple(float(a) for a in frame["test_accuracy"]),
        param_count=int(frame["param_count"].iloc[0]),
        data_fingerprint=str(frame["data_fingerprint"].iloc[0]),
        commit=str(frame["commit"].iloc[0] or ""),
        date=str(frame["started_at"].iloc[0])[:10],
    )


def read(path: Path, asked: Mapping[str, Any]) -> dict[str, Reference]:
    """The references of a file that `write` has made.

    Raises:
      UsageError: they were trained otherwise than `asked`.
    """
    told = json.loads(path.read_text())
    for model in set(told["models"]) & set(asked["learning_rate"]):
        then, now = (_asked_of(model, one) for one in (told["asked"], asked))
        for name, value in now.items():
            if then.get(name) != value:
                raise click.UsageError(
                    f"{path} has {model} with {name}={then.get(name)}, and {ASKED.name} "
                    f"{value}; write it anew"
                )
    return {
        name: Reference(**{**one, "accuracies": tuple(one["accuracies"])})
        for name, one in told["models"].items()
    }


def _asked_of(model: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What concerns one model."""
    return {
        **{name: value for name, value in asked.items() if name != "learning_rate"},
        "learning_rate": asked["learning_rate"].get(model),
    }


def write(path: Path, found: Mapping[str, Reference], asked: Mapping[str, Any]) -> None:
    """Writes references down with what they were trained by, and on what."""
    told = {
        "asked": dict(asked), **_place(),
        "models": {name: asdict(one) for name, one in found.items()},
    }  # fmt: skip
    path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")


def _place() -> dict[str, Any]:
    return {
        "machine": {
            "cpu_model": machine.cpu_model(),
            "device_kind": machine.devices()["device_kind"],
        },
        "versions": machine.versions(),
    }


def others(path: Path, asked: Mapping[str, Any]) -> dict[str, Reference]:
    """The references that a file has, to write more beside them.

    Raises:
      UsageError: there are none, or from elsewhere, or trained otherwise than `asked`.
    """
    if not path.exists():
        raise click.UsageError(f"{path} does not exist; leave --model out to write all")
    told = json.loads(path.read_text())
    for name, value in _place().items():
        if told.get(name) != value:
            raise click.UsageError(
                f"{path} was written with another {name}, {told.get(name)}, than this one's, "
                f"{value}; leave --model out to write all"
            )
    return read(path, asked)


def table(references: Mapping[str, Reference], now: Mapping[str, Reference]) -> str:
    """One line a model, as markdown."""
    lines = ["| model | reference | now | allowed | |", "|:--|--:|--:|--:|:--|"]
    shared = shared_variance(references)
    for name, one in now.items():
        reference = references[name]
        same = one.accuracies == reference.accuracies
        told = "the same to the bit" if same else "within what seeds do"
        lines.append(
            f"| {name} | {reference.mean:.4f} | {one.mean:.4f} | "
            f"{allowed(reference, shared=shared):.4f} | "
            f"{verdict(reference, one, shared=shared) or told} |"
        )
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--model", "models", multiple=True, help="This one alone. Repeatable.")
@click.option("--write", "to", type=click.Path(path_type=Path), help="Write references down.")
@click.option(
    "--check", "against", type=click.Path(path_type=Path, exists=True),
    help="Compare with references; 3 if a model is off.",
)  # fmt: skip
def main(models: tuple[str, ...], to: Path | None, against: Path | None) -> None:
    if (to is None) == (against is None):
        raise click.UsageError("give one of --write FILE and --check FILE")
    asked = tomllib.loads(ASKED.read_text())
    unknown = [model for model in models if model not in asked["learning_rate"]]
    if unknown:
        known = ", ".join(asked["learning_rate"])
        raise click.UsageError(f"{unknown[0]!r} has no reference; known: {known}")
    wanted = models or tuple(asked["learning_rate"])
    if to is not None:
        known = others(to, asked) if models else {}
        write(to, {**known, **measure(wanted, asked)}, asked)
        return
    assert against is not None
    references = read(against, asked)
    lacking = [model for model in wanted if model not in references]
    if lacking:
        raise click.UsageError(f"{against} has no reference of {lacking[0]}; write it anew")
    now = measure(wanted, asked)
    click.echo(table(references, now))
    shared = shared_variance(references)
    off = [verdict(references[name], one, shared=shared) for name, one in now.items()]
    sys.exit(3 if any(off) else 0)


if __name__ == "__main__":
    main()
