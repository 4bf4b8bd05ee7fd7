"""Opens a session for a plan: what travels to the workers, and what each order says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from harness import machine
from harness.choices import Choice
from harness.cluster.asked import Cluster
from harness.cluster.connection import connection
from harness.cluster.greeting import needed
from harness.cluster.order import Order
from harness.cluster.roster import Roster
from harness.cluster.session import Session
from harness.cluster.shipping import Root, places, root_of
from harness.deadlines import Limits
from harness.errors import UsageError
from harness.fingerprints import Now
from harness.paths import data_dir
from harness.plan import Run
from harness.runner import Performer

# runs that this process waits for at once, each in a thread
AT_ONCE = 1024
# seconds that the end of a plan waits for who looks at the workers
END_S = 5.0


@contextmanager
def connected(
    asked: Cluster,
    runs: Sequence[Run],
    *,
    settings: Mapping[str, Any],
    limits: Limits,
    exclusive: bool,
    store: str | None,
    note: Callable[[str], None],
) -> Iterator[tuple[Performer, Callable[[list[Choice]], list[Now | None]]]]:
    """What performs runs on a cluster, and says what data sets are there.

    Args:
      runs: they name all plugins needed.
      store: URL that rows go to; workers write to a server's themselves.

    Raises:
      UsageError: a run cannot travel, or no scheduler can be reached.
    """
    roots, paths = _shipped(asked, runs, note)
    own = machine.settings() | {"HARNESS_DATA_DIR": str(data_dir() or "")}
    if own["HARNESS_DATA_DIR"] not in paths:
        del own["HARNESS_DATA_DIR"]  # workers have their own

    commit = machine.commit()  # once: it asks git
    theirs = store if store is not None and not store.startswith("sqlite") else None

    def order(run: Run) -> Order:
        return Order(
            run=run, settings=settings, limits=limits, place=commit, paths=paths,
            environment=own, exclusive=exclusive,
            store=None if run.others else theirs,  # rows of one program are the command's
        )  # fmt: skip

    session = Session(order=order, resources=asked.resources, roots=roots, note=note)
    sources = [source for run in runs for source in run.sources]
    greet = partial(session.greet, machine.key_parts(), needed(dict.fromkeys(sources)))
    over = threading.Event()
    with connection(asked, hear=session.hear, note=note) as link:
        session.link = link
        session.roster = Roster(greet=greet, resources=asked.resources, note=note)
        watch = threading.Thread(target=session.watch, args=(over,), daemon=True)
        watch.start()
        try:
            performer = Performer(
                name="dask", execute=session.execute, at_once=AT_ONCE, halt=session.halt
            )
            yield performer, partial(session.now_of, paths)
        finally:
            over.set()
            watch.join(END_S)  # it may be asking a scheduler that does not answer


def _shipped(
    asked: Cluster, runs: Sequence[Run], note: Callable[[str], None]
) -> tuple[tuple[Root, ...], dict[str, str]]:
    """What workers get a copy of, and where they find what runs name of it."""
    choices = [choice for run in runs for choice in run.choices]
    here = [c.source.name for c in choices if c.source.origin == "session"]
    if here:
        raise UsageError(
            f"class {here[0]} is of this process, which no worker has; write it to a plugin "
            "file and name that"
        )
    files = dict.fromkeys(c.source.target for c in choices if c.source.origin == "file")
    roots = tuple(root_of(Path(path)) for path in dict.fromkeys([*files, *asked.ship]))
    texts = [v for c in choices for v in c.params.values() if isinstance(v, str)]
    found = places(roots, [*files, *texts, str(data_dir() or "")])
    for root in roots:
        if not places([root], found):
            note(
                f"--ship {str(root.path)!r}: no parameter and no HARNESS_DATA_DIR names it, so "
                "workers do not read their copy"
            )
    return roots, found
