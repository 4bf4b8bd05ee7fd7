"""Which workers may be used, and what they get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from performed import runs_of

from harness import machine
from harness.cluster.greeting import asker, difference, greeted, lacking, needed
from harness.cluster.shipping import root_of
from harness.registry import Registry


def test_a_worker_is_held_against_what_the_command_has():
    here = machine.key_parts()
    assert asker()() == here
    elsewhere = {**here, "host": "node7", "cpu_model": "EPYC", "XLA_FLAGS": "--x"}
    assert difference(here, elsewhere) == ""
    assert "it has jax 0.1" in difference(here, {**here, "jax_version": "0.1"})
    assert "harness none" in difference(here, {"harness_version": "none"})
    assert "other code" in difference(here, {**here, "harness_code": "0"})


def test_a_worker_needs_the_same_plugins(known: Registry):
    (run,) = runs_of(known, "mean_pool")
    sources = list(run.sources)
    assert lacking(needed(sources)) == ""
    other = [replace(source, source_hash="0") for source in sources]
    assert "has other code there" in lacking(needed(other))
    absent = [replace(source, target="harness_models.absent") for source in sources]
    assert "is not installed there" in lacking(needed(absent))


class Workers:
    """A client of workers that have one folder, and what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.gone: set[str] = set()

    def run(self, function, *args, workers, on_error):
        assert on_error == "return"
        self.asked.append((function.__name__, list(workers)))
        gone = {one: OSError("it has gone") for one in workers if one in self.gone}
        return {one: function(*args) for one in workers if one not in gone} | gone


def test_workers_of_one_machine_are_sent_a_file_once(tmp_path: Path):
    (tmp_path / "data.bin").write_bytes(b"some")
    client, there = Workers(), ["tcp://h:1", "tcp://h:2", "tcp://h:3"]
    about = {"here": machine.key_parts(), "plugins": "[]", "roots": [root_of(tmp_path)]}
    assert greeted(client, there, **about) == dict.fromkeys(there, "")
    assert [one for one in client.asked if one[0] == "receive"] == [("receive", ["tcp://h:3"])]
    client.asked.clear()
    assert greeted(client, ["tcp://g:1"], **about) == {"tcp://g:1": ""}
    assert [name for name, _ in client.asked] == ["who", "lacking", "missing"]


def test_a_worker_that_goes_while_it_is_greeted_or_has_other_code_costs_no_other():
    client = Workers()
    client.gone = {"tcp://h:1"}
    found = greeted(
        client, ["tcp://h:1", "tcp://h:2"], here=machine.key_parts(), plugins="[]", roots=[]
    )
    assert isinstance(found["tcp://h:1"], OSError) and found["tcp://h:2"] == ""
    other = {**machine.key_parts(), "jax_version": "0.1"}
    assert "jax" in str(greeted(Workers(), ["tcp://h:1"], here=other, plugins="[]", roots=[]))
