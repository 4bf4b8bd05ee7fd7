"""What the devices of a run send each other in a step, read from the compiled program.

Nothing here is timed. XLA's optimized text names every collective operation with what comes
out of it and who takes part. What each device then sends is reckoned by the ring algorithms,
which no other sends less than where all devices have one link each: Thakur, Rabenseifner and
Gropp, "Optimization of Collective Communication Operations in MPICH" (2005), and NVIDIA's
https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

COMMENT = re.compile(r"/\*.*?\*/")
HEADING = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) \(.*\{$")
# `%name = f32[128,32]{1,0} dot(...)`, or a tuple `(f32[], s32[])` in front of the operation
OPERATION = re.compile(r"^\s*(?:ROOT )?%?[\w.\-]+ = (?P<shape>.*?) (?P<kind>[a-z][\w\-]*)\(")
ARRAY = re.compile(r"\b(?P<type>pred|[a-z]+\d+\w*)\[(?P<sizes>[\d,]*)\]")
CALLED = re.compile(r"\b(?:to_apply|calls)=%?([\w.\-]+)")
LOOPED = re.compile(r"\b(?:body|condition)=%?([\w.\-]+)")
BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
BRANCH = re.compile(r"\b(?:true|false)_computation=%?([\w.\-]+)")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
# who takes part: {{0,1},{2,3}}, [groups,size]<=[...] or mesh['a'=2,'b'=4] {'a'}
LISTED = re.compile(r"replica_groups=\{\{([\d,]+)\}")
COUNTED = re.compile(r"replica_groups=\[\d+,(\d+)\]")
NAMED = re.compile(r"replica_groups=\w+\[(?P<axes>[^\]]*)\] \{(?P<named>[^}]*)\}")
AXIS_SIZE = re.compile(r"'(\w+)'=(\d+)")
KINDS = (
    "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "ragged-all-to-all",
    "collective-permute", "collective-broadcast",
)  # fmt: skip


@dataclass(frozen=True)
class Volume:
    """What is sent.

    Attributes:
      sent: bytes that each device sends.
      operations: collective operations, each as often as it is gone through.
    """

    sent: float = 0.0
    operations: int = 0

    def __add__(self, other: Volume) -> Volume:
        return Volume(self.sent + other.sent, self.operations + other.operations)

    def times(self, count: int) -> Volume:
        return Volume(self.sent * count, self.operations * count)


@dataclass(frozen=True)
class Operation:
    """One line of a program: its kind, the shape that comes out and the whole text."""

    kind: str
    shape: str
    text: str


def step_volume(optimized: str, *, devices: int) -> Volume:
    """What is sent in one step of a program that loops over steps.

    That loop is the one of the entry whose number of rounds the program does not know. What
    stands outside of it comes once a chunk and is of no step. Loops within it are gone
    through as often as they say, or once; of branches the one that sends most is taken.

    Args:
      optimized: XLA's text of the program.
      devices: that take part where an operation does not say how many.
    """
    program = _Program(*_computations(optimized), devices=devices)
    loops = [loop for loop in program.operations_from(program.entry) if _is_of_steps(loop)]
    if not loops:
        return program.volume(program.entry)
    return sum((program.of_operation(loop) for loop in loops), Volume())


def _is_of_steps(operation: Operation) -> bool:
    return operation.kind == "while" and TRIPS.search(operation.text) is None


def _computations(text: str) -> tuple[dict[str, list[Operation]], str]:
    """The operations of each computation by its name, and the name of the first one to run."""
    found: dict[str, list[Operation]] = {}
    entry, inside = "", []
    for line in COMMENT.sub("", text).splitlines():
        heading = HEADING.match(line)
        operation = None if heading else OPERATION.match(line)
        if heading:
            inside = found.setdefault(heading["name"], [])
            entry = heading["name"] if heading["entry"] else entry
        elif operation:
            inside.append(Operation(operation["kind"], operation["shape"], line))
    return found, entry


@dataclass(frozen=True)
class _Program:
    """A program's computations, and how many devices run it."""

    computations: Mapping[str, list[Operation]]
    entry: str
    devices: int

    def operations_from(self, name: str) -> Iterator[Operation]:
        """The operations of a computation and of those it calls, loops and branches closed."""
        for operation in self.computations.get(name, ()):
            yield operation
            if operation.kind not in KINDS:
                for called in CALLED.findall(operation.text):
                    yield from self.operations_from(called)

    def volume(self, name: str) -> Volume:
        """What a computation sends, once gone through."""
        return sum(map(self.of_operation, self.operations_from(name)), Volume())

    def of_operation(self, operation: Operation) -> Volume:
        """What an operation sends by itself; a call's computation is not in it."""
        text = operation.text
        if operation.kind == "while":
            trips = TRIPS.search(text)
            once = sum((self.volume(part) for part in LOOPED.findall(text)), Volume())
            return once.times(int(trips[1]) if trips else 1)
        if operation.kind == "conditional":
            listed = BRANCHES.search(text)
            names = re.findall(r"[\w.\-]+", listed[1]) if listed else BRANCH.findall(text)
            return max(map(self.volume, names), key=lambda v: v.sent, default=Volume())
        kind = operation.kind.removesuffix("-start")
        if kind not in KINDS:
            return Volume()
        group = _group_size(text, self.devices)
        return Volume(_sent(operation.kind, _sizes(operation.shape), group), 1)


def _sizes(shape: str) -> list[float]:
    """The bytes of each array of a shape, which may be a tuple of them."""
    found = []
    for array in ARRAY.finditer(shape):
        count = 1
        for size in filter(None, array["sizes"].split(",")):
            count *= int(size)
        bits = re.search(r"\d+", array["type"])
        found.append(count * (int(bits[0]) if bits else 8) / 8)
    return found


def _sent(kind: str, sizes: list[float], group: int) -> float:
    """Bytes that each of a group's devices sends, from the sizes of what comes out."""
    share, out = (group - 1) / group, sum(sizes)
    if kind == "all-gather-start":  # tells what goes in as well, 1 / group of what comes out
        out *= group / (group + 1)
    if kind.startswith("all-reduce"):
        return 2 * share * out
    if kind.startswith("reduce-scatter"):  # what comes out is a device's part
        return (group - 1) * out
    if kind.startswith("collective-permute"):
        return sizes[0] if sizes else 0.0
    if kind.startswith("collective-broadcast"):
        return out
    return share * out


def _group_size(text: str, devices: int) -> int:
    """How many devices take part in a collective operation with one another."""
    named = NAMED.search(text)
    if named:
        sizes = {axis: int(size) for axis, size in AXIS_SIZE.findall(named["axes"])}
        group = 1
        for axis in re.findall(r"'(\w+)'", named["named"]):
            group *= sizes[axis]
        return group
    counted, listed = COUNTED.search(text), LISTED.search(text)
    if counted:
        return int(counted[1])
    return len(listed[1].split(",")) if listed else devices
