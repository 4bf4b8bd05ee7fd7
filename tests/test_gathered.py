"""The runs that one program trains."""

from __future__ import annotations

from test_together import runs_of

from harness.events import Again, Collector, Ended, Of, Phase
from harness.gathered import Gathered, as_one, programs_of


def test_runs_of_one_program_stand_together_and_others_alone(known):
    vmapped = runs_of(known, "mean_pool", "majority", seeds=2)
    assert [[r.seed for r in some] for some in programs_of(vmapped)] == [[0, 1], [0, 1]]
    alone = runs_of(known, "mean_pool", seeds=2, vmap_seeds=False)
    assert [len(some) for some in programs_of(alone)] == [1, 1]
    assert as_one(alone[:1]) is alone[0]


def test_a_seed_that_nobody_asked_for_is_trained_with_the_others(known):
    runs = runs_of(known, "mean_pool")
    lead = as_one(runs[1:])
    assert [lead.seed, *(one.seed for one in lead.others)] == [0, 1, 2]
    assert lead.run_key == runs[0].run_key and lead.run_id != runs[0].run_id
    assert lead.others[0].run_id == runs[1].run_id


def test_a_program_that_begins_again_has_no_seed_that_is_over():
    gathered = Gathered({seed: Collector({"seed": seed}) for seed in (0, 1)})
    gathered.add(Of(0, Ended("diverged", "Diverged", "at step 3")))
    gathered.add(Again("its worker was lost"))
    assert gathered.ended is None
    gathered.add(Phase("train"))
    gathered.add(Ended("ok"))
    rows = [one.result().row for one in gathered.collectors.values()]
    assert [row["status"] for row in rows] == ["ok", "ok"]
