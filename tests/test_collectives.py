from __future__ import annotations

import pytest

from harness.collectives import Volume, step_volume

PROGRAM = """HloModule jit_chunk, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%a, %b)
}

%part (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %all-reduce.1 = (f32[8]{0}, bf16[2,4]{1,0}, /*index=2*/f32[]) all-reduce(%x, %y, %z), replica_groups=mesh['axis_0'=4] {'axis_0'}, to_apply=%add
}

%one (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  ROOT %all-reduce.2 = f32[16]{0} all-reduce(%x), replica_groups={{0,1,2,3}}, to_apply=%add
}

%other (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  ROOT %t = (s32[], f32[8]{0}) tuple(%i, %x)
}

%step (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %call = (s32[], f32[8]{0}) call(%t), to_apply=%inner
}

%inner (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %while.1 = (s32[], f32[8]{0}) while(%t), condition=%less, body=%part, backend_config={"known_trip_count":{"n":"3"}}
  %conditional = (s32[], f32[8]{0}) conditional(%i, %t, %t), branch_computations={%one, %other}
}

%less (p: (s32[], f32[8])) -> pred[] {
  ROOT %lt = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (x: f32[8]) -> f32[8] {
  %all-gather = f32[800]{0} all-gather(%x), dimensions={0}
  %while.2 = (s32[], f32[8]{0}) while(%t), condition=%less, body=%step
  ROOT %r = f32[8]{0} get-tuple-element(%while.2), index=1
}
"""  # noqa: E501


def test_loops_within_a_step_count_as_often_as_they_go_and_the_largest_branch_once():
    # 3 rounds of 8 float32, 8 bfloat16 and one float32; then 16 float32; nothing from the entry
    factor = 2 * 3 / 4
    assert step_volume(PROGRAM, devices=4) == Volume(factor * (3 * (32 + 16 + 4) + 64), 4)


def test_a_program_without_a_loop_of_steps_counts_as_one_step():
    text = PROGRAM.replace("body=%step", 'body=%step, {"known_trip_count":{"n":"2"}}')
    twice = step_volume(PROGRAM, devices=4).times(2)
    assert step_volume(text, devices=4) == twice + Volume(3 / 4 * 3200, 1)


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("%a = f32[10]{0} all-reduce(%x), replica_groups=[1,5]<=[5]", 2 * 4 / 5 * 40),
        ("%a = f32[10]{0} all-reduce-start(%x), replica_groups=[1,5]<=[5]", 2 * 4 / 5 * 40),
        ("%a = f32[10]{0} all-reduce-done(%x)", 0),
        ("%a = f32[10]{0} all-gather(%x), replica_groups={}", 4 / 5 * 40),
        ("%a = (f32[2]{0}, f32[10]{0}) all-gather-start(%x)", 4 / 5 * 40),
        ("%a = f32[2]{0} reduce-scatter(%x)", 4 * 8),
        ("%a = (s8[5]{0}, s8[5]{0}) all-to-all(%x, %y)", 4 / 5 * 10),
        ("%a = f32[10]{0} all-reduce(%x), replica_groups={{0,1},{2,3}}", 40),
        (
            "%a = pred[6]{0} all-to-all(%x), replica_groups=mesh['a'=5,'b'=2] {'b'}",
            3,
        ),
        ("%a = (f32[7]{0}, f32[7]{0}) collective-permute-start(%x)", 28),
        ("%a = f32[7]{0:T(8,128)} collective-permute(%x)", 28),
        ("%a = f32[7]{0} collective-broadcast(%x)", 28),
        ("%a = f32[7]{0} add(%x, %y)", 0),
    ],
)
def test_each_device_sends_what_a_ring_sends(line: str, sent: float):
    text = f"ENTRY %main (x: f32[10]) -> f32[10] {{\n  {line}\n}}\n"
    assert step_volume(text, devices=5).sent == pytest.approx(sent)
