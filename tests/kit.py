"""A little registry of entries made by hand, for tests of selections and plans."""

from __future__ import annotations

from harness.entries import Entry, Parameter, Source
from harness.registry import Registry, join

SOURCE = Source(
    name="kit", origin="file", target="/a/kit.py", version="ab12", source_hash="ab12cd"
)
WIDTH = Parameter(name="width", type="int", default=32, minimum=1)
RATE = Parameter(name="rate", type="float", default=0.1, minimum=0, maximum=1)
NET = Entry(
    kind="model", name="net", source=SOURCE, parameters=(WIDTH, RATE),
    variants={"wide": {"width": 64}, "dry": {"rate": 0.0}},
)  # fmt: skip
POOL = Entry(kind="model", name="pool", source=SOURCE, parameters=(WIDTH,))
WORDS = Entry(
    kind="dataset", name="words", source=SOURCE,
    parameters=(Parameter(name="length", type="int", default=200),),
)  # fmt: skip


def registry_of(*entries: Entry) -> Registry:
    return join([(SOURCE, list(entries))])
