"""Checks of data sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from harness import feed
from harness.checks.check import Check, Fault, NotApplicable
from harness.entries import Scalar
from harness.specs import BatchAccess, Dataset, DataSpec, Split, Task
from harness.tasks import CLASSIFICATION

# of the test split; a few texts that somebody posted twice are in most collections
DUPLICATES = 0.01
# examples hashed at a time
ROWS = 1024


@dataclass(frozen=True)
class DataSubject:
    """A data set with its parameters.

    Attributes:
      variants: the parameters of each declared variant.
      elsewhere: the fingerprint that another process finds.
      find_task: the task of a name.
    """

    factory: Callable[..., Dataset]
    params: Mapping[str, Scalar]
    variants: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    elsewhere: Callable[[], str] = lambda: ""
    find_task: Callable[[str], Task] = lambda name: CLASSIFICATION

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, loaded once."""
        return self.factory(**self.params)

    @cached_property
    def task(self) -> Task:
        """The task that the spec names."""
        return self.find_task(self.dataset.spec.task)

    def splits(self) -> dict[str, Split]:
        """Both splits by name."""
        return {"train": self.dataset.train, "test": self.dataset.test}


def loads(subject: DataSubject) -> str:
    """The factory returns a `harness.Dataset` of a task that there is."""
    found = subject.dataset
    if not isinstance(found, Dataset):
        raise Fault(
            given=f"the function returned {type(found).__name__}",
            expected="a harness.Dataset", do="return Dataset(train, test, spec)",
        )  # fmt: skip
    _ = subject.task  # one that there is not is told here
    sizes = ", ".join(
        f"{len(_labels(split)):,} {name}" for name, split in subject.splits().items()
    )
    return f"{sizes}, {found.spec.kind} {list(found.spec.shape)}"


def as_spec(subject: DataSubject) -> str:
    """Keys, shapes, dtypes and ranges of every example of both splits."""
    spec = subject.dataset.spec
    for name, split in subject.splits().items():
        for x, y in _blocks(split):
            feed.as_examples({"x": x, "y": y}, spec, name=name, limit=None, task=subject.task)
            if x.dtype.kind == "f" and not np.isfinite(x).all():
                raise Fault(
                    given=f"the {name} split has values that are not finite",
                    expected="finite numbers", do="fill them in or drop the examples",
                )  # fmt: skip
        _reads_alike(name, split)
    return ""


def _reads_alike(name: str, split: Split) -> None:
    """A source that can be asked for many examples gives those that it gives one by one."""
    if isinstance(split, Mapping) or not isinstance(split, BatchAccess):
        return
    positions = [len(split) - 1, 0, len(split) // 2]
    for position, found in zip(positions, feed.examples_at(split, positions), strict=True):
        alone = split[position]
        if not all(_same(found[key], alone[key]) for key in ("x", "y")):
            raise Fault(
                given=f"__getitems__ of the {name} split gave another example at {position} "
                "than __getitem__",
                expected="the same", do="return examples in the order of the positions",
            )  # fmt: skip


def _same(one: Any, other: Any) -> bool:
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


def splits_disjoint(subject: DataSubject) -> str:
    """Hardly a test example stands in train, whatever its label."""
    known = set(_hashes(subject.dataset.train))
    test = list(_hashes(subject.dataset.test))
    twice = sum(one in known for one in test)
    words = f"{twice:,} of {len(test):,} test examples also stand in train"
    if twice > DUPLICATES * len(test):
        raise Fault(
            given=f"{words} ({twice / len(test):.1%})",
            expected=f"at most {DUPLICATES:.0%}", do="split after dropping duplicates, or "
            "register with exempt={'splits_disjoint': 'why'}",
        )  # fmt: skip
    return words if twice else ""


def deterministic(subject: DataSubject) -> str:
    """Loading again gives the same arrays and an equal spec."""
    again = subject.factory(**subject.params)
    for name, split in (("train", again.train), ("test", again.test)):
        if _digest(split) != _digest(subject.splits()[name]):
            raise Fault(
                given=f"loading twice gave two {name} splits", expected="the same arrays",
                do="seed whatever is random, and sort whatever comes from a set or a folder",
            )  # fmt: skip
    if again.spec != subject.dataset.spec:
        raise Fault(
            given="loading twice gave two specs", expected="equal ones",
            do="make the spec from the data and the parameters alone",
        )  # fmt: skip
    return ""


def fingerprint(subject: DataSubject) -> str:
    """It is there, and tells apart what differs."""
    spec = subject.dataset.spec
    if not spec.fingerprint:
        raise Fault(
            given="DataSpec.fingerprint is empty", expected="a hash",
            do="hash the arrays, or the parameters and a version of the preparation",
        )  # fmt: skip
    seen = {spec.fingerprint: ("the entry itself", _digests(subject.dataset))}
    for name, params in subject.variants.items():
        other = subject.factory(**{**subject.params, **params})
        digests = _digests(other)
        before, known = seen.setdefault(other.spec.fingerprint, (f"variant {name}", digests))
        if known != digests:
            raise Fault(
                given=f"{before} and variant {name} differ and have one fingerprint",
                expected="one for each", do="hash the parameters too",
            )  # fmt: skip
    return spec.fingerprint[:12]


def classes(subject: DataSubject) -> str:
    """Every class occurs in both splits; how often. Of targets, their mean and spread."""
    spec, told = subject.dataset.spec, []
    for name, split in subject.splits().items():
        labels = _labels(split)
        if subject.task.label_dtype != "int32":
            told.append(f"{name} {_spread(labels.reshape(len(labels), -1), spec)}")
            continue
        counts, total = _counts(labels, spec)
        absent = [spec.class_names[i] for i in np.flatnonzero(counts == 0)]
        if absent:
            raise Fault(
                given=f"the {name} split has no example of {', '.join(absent[:5])}",
                expected=f"all {spec.num_classes} classes", do="stratify the split, or drop "
                "the class from the spec",
            )  # fmt: skip
        shares = counts / total
        told.append(f"{name} {shares.min():.1%} to {shares.max():.1%} a class")
    return ", ".join(told)


def _counts(labels: np.ndarray, spec: DataSpec) -> tuple[np.ndarray, int]:
    """How often each class [c], or each label [c] is there, and of how many."""
    if labels.ndim == 1:
        return np.bincount(labels, minlength=spec.num_classes), len(labels)
    return labels.sum(axis=0), len(labels)


def _spread(targets: np.ndarray, spec: DataSpec) -> str:
    """Mean and standard deviation of the first targets [n, c]."""
    told = zip(spec.class_names, targets.mean(axis=0), targets.std(axis=0), strict=False)
    return ", ".join(f"{name} {mean:.3g} ± {sd:.3g}" for name, mean, sd in list(told)[:3])


def lengths(subject: DataSubject) -> str:
    """Tokens of an example, without padding; padding stands in front."""
    spec = subject.dataset.spec
    if spec.pad_id is None:
        raise NotApplicable("nothing is padding: all examples have one length")
    found = []
    for name, split in subject.splits().items():
        for x, _ in _blocks(split):
            real = x != spec.pad_id  # [n, t]
            if (real[:, :-1] & ~real[:, 1:]).any():
                raise Fault(
                    given=f"an example of the {name} split has padding behind a token",
                    expected="padding in front only", do="pad on the left, and give no token "
                    "the id of padding",
                )  # fmt: skip
            found.append(real.sum(axis=1))
    tokens = np.concatenate(found)
    full = (tokens == spec.shape[0]).mean()
    median, high = np.percentile(tokens, [50, 95])
    return (
        f"{median:.0f} tokens in the median, 95 % up to {high:.0f}, {full:.0%} fill all places"
    )


def decodes(subject: DataSubject) -> str:
    """`decode` turns the first test example into a text, which is shown."""
    decode = subject.dataset.decode
    if decode is None:
        raise NotApplicable("no decode: `harness inspect` shows the numbers")
    x, _ = next(_blocks(subject.dataset.test))
    text = decode(x[0])
    if not isinstance(text, str) or not text:
        raise Fault(
            given=f"decode returned {text!r}", expected="a text", do="return a str for one row"
        )
    return " ".join(text.split())[:40]


def worker(subject: DataSubject) -> str:
    """A fresh process finds the same data."""
    there, here = subject.elsewhere(), subject.dataset.spec.fingerprint
    if there != here:
        raise Fault(
            given=f"another process has the fingerprint {there[:12]!r}, this one {here[:12]!r}",
            expected="one", do="take nothing from hash(), from the clock or from the process",
        )  # fmt: skip
    return ""


def _blocks(split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """x [m, *shape] and y [m] of a split, part by part."""
    if isinstance(split, Mapping):
        for start in range(0, len(split["y"]), ROWS):
            yield (np.asarray(split["x"][start : start + ROWS]),
                   np.asarray(split["y"][start : start + ROWS]))  # fmt: skip
        return
    for start in range(0, len(split), ROWS):
        items = feed.examples_at(split, range(start, min(start + ROWS, len(split))))
        yield (np.stack([np.asarray(item["x"]) for item in items]),
               np.asarray([item["y"] for item in items]))  # fmt: skip


def _labels(split: Split) -> np.ndarray:
    return np.concatenate([y for _, y in _blocks(split)])


def _hashes(split: Split) -> Iterator[bytes]:
    for x, _ in _blocks(split):
        for row in x:
            yield hashlib.sha256(row.tobytes()).digest()


def _digest(split: Split) -> str:
    digest = hashlib.sha256()
    for x, y in _blocks(split):
        digest.update(x.tobytes() + y.tobytes())
    return digest.hexdigest()


def _digests(dataset: Dataset) -> Any:
    return _digest(dataset.train), _digest(dataset.test)


CHECKS: tuple[Check[DataSubject], ...] = (
    Check("loads", "returns a Dataset", loads),
    Check("as_spec", "dtypes, shapes and ranges are as the spec says", as_spec, ("loads",)),
    Check("splits_disjoint", "no test example stands in train", splits_disjoint, ("as_spec",)),
    Check("deterministic", "loads the same arrays again", deterministic, ("loads",)),
    Check("fingerprint", "the fingerprint tells data apart", fingerprint, ("deterministic",)),
    Check("classes", "every class is in both splits", classes, ("as_spec",)),
    Check("lengths", "padding stands in front", lengths, ("as_spec",)),
    Check("decodes", "an example can be read", decodes, ("as_spec",)),
    Check("worker", "another process finds the same data", worker, ("deterministic",)),
)
