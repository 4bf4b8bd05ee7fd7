from __future__ import annotations

from typing import Any

from stored import failed_row, make_row

from harness.cli.options import table_text
from harness.frames import frame_of
from harness.table import caption, tabulate

PLACE: dict[str, Any] = {"cpu_model": "EPYC", "device_kind": "cpu", "jax_version": "0.10.2",
         "started_at": "2026-11-22T10:00:00+00:00"}  # fmt: skip


def test_a_table_says_where_and_when_it_was_measured():
    text = caption(frame_of([make_row(**PLACE), failed_row(cpu_model="other")]))
    assert text == (
        "1 run; processor EPYC, device cpu, jax 0.10.2; 2026-11-22\nrecipe: defaults, untuned"
    )


def test_what_differs_is_named_and_what_needs_a_word_is_explained():
    later = {**PLACE, "jax_version": "0.11", "started_at": "2026-11-23T10:00:00+00:00"}
    rows = [
        *(make_row(seed=s, compile_cache="miss", **PLACE) for s in range(2)),
        make_row("rnn", compile_cache="hit", **later),
    ]
    first, _, second = caption(frame_of(rows)).splitlines()
    assert "jax 0.10.2 and 0.11" in first and first.endswith("2026-11-22 to 2026-11-23")
    assert second == (
        "± is the standard deviation over seeds; "
        "compile s leaves out programs that came from the cache"
    )


def test_a_recipe_that_is_not_the_default_is_named():
    rows = [make_row(seed=s, epochs=3, limit=100, learning_rate=0.01) for s in range(2)]
    assert "recipe: epochs 3, learning rate 0.01, limit 100, untuned" in caption(frame_of(rows))


def test_times_that_say_less_than_they_seem_to_are_marked():
    rows = [
        make_row(seed=0, timing_comparable=False, recompiles=2, recompiled="step(f32[3])"),
        make_row(seed=1, timing_comparable=True, recompiles=0, recompiled=""),
        make_row(seed=2, timing_comparable=None, recompiles=None, recompiled=None),
        make_row(seed=3, timing_comparable=True, recompiles=1, recompiled="eval(f32[4])"),
    ]
    last = caption(frame_of(rows)).splitlines()[-1]
    assert "‡ times of 1 are not comparable: another run went on beside" in last
    assert "† 2 compiled again while training: step(f32[3]) and eval(f32[4])" in last


def test_of_many_recompilations_two_are_named_and_a_missing_name_is_left_out():
    rows = [make_row(seed=i, recompiles=1, recompiled=f"step(f32[{i}])") for i in range(4)]
    last = caption(frame_of(rows)).splitlines()[-1]
    assert last.endswith("† 4 compiled again while training: step(f32[0]) and step(f32[1]) "
                         "and 2 others")  # fmt: skip
    last = caption(frame_of([make_row(recompiles=1, recompiled=None)])).splitlines()[-1]
    assert last.endswith("† 1 compiled again while training")


def test_nothing_measured_needs_no_caption():
    assert caption(frame_of([failed_row()])) == ""


def test_a_table_says_how_far_its_rows_were_tuned_and_on_what_the_epoch_was_chosen():
    tuned = {"tune_trials": 8, "validation": 0.1, "selection": "best"}
    text = caption(frame_of([make_row(**tuned), make_row(kind="trial", cpu_model="other")]))
    assert "recipe: validation 0.1, selection best, best of 8 trials" in text
    assert "the epoch is chosen on validation, and the test set read once" in text
    assert "other" not in text
    # where rows differ the lines say it
    mixed = caption(frame_of([make_row(**tuned), make_row()]))
    assert "trials" not in mixed and "untuned" not in mixed


def test_a_caption_is_of_the_rows_that_the_lines_hold():
    """The same suite twice: first beside another run and under an older jax."""
    later = {**PLACE, "jax_version": "0.11", "timing_comparable": True}
    first = [make_row(seed=s, **PLACE, timing_comparable=False) for s in range(3)]
    frame = frame_of([*first, *(make_row(seed=s, **later) for s in range(3))])
    text = caption(frame, tabulate(frame))
    assert text.startswith("3 runs; ") and "jax 0.11;" in text and "‡" not in text
    # lines of columns hold both
    both = caption(frame, tabulate(frame, by=["jax_version"]), by=["jax_version"])
    assert both.startswith("6 runs; ") and "jax 0.10.2 and 0.11;" in both
    assert "‡ times of 3 are not comparable" in both
    assert both in table_text(frame, "text", by=["jax_version"])
