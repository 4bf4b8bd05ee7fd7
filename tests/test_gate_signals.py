"""What is read out of compiled programs, real ones and lines of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from harness.gate import probe
from harness.gate.signals import (
    ProgramSignals,
    cell_signals,
    operations,
    program_hash,
    program_signals,
    ways_outside,
)
from harness.program import Compiled, compile_ahead


def signals_of(function: Any, *args: Any, donate: tuple[int, ...] = ()) -> ProgramSignals:
    program: Compiled = compile_ahead(function, *args, donate=donate)
    return program_signals(probe.facts(program))


X = jnp.ones((64, 64))


def test_operations_are_counted_by_kind_and_dtype():
    text = """
ENTRY %main.1 (x.1: f32[4,2]) -> (f32[4,2], s32[]) {
  %x.1 = f32[4,2]{1,0} parameter(0)
  %a = f32[4,2]{1,0} dot(%x.1, %x.1), lhs_contracting_dims={1}
  %b = f64[4,2]{1,0} convert(%a)
  %c = (f32[4,2]{1,0}, s32[]) while(%t), condition=%p, body=%q
  ROOT %d = f32[4,2]{1,0} dot(%a, %a), lhs_contracting_dims={1}
}"""
    assert operations(text) == {"dot f32": 2, "convert f64": 1, "while f32": 1}


def test_more_work_is_more_flops_and_another_hash():
    once = signals_of(lambda a: a @ a, X)
    twice = signals_of(lambda a: a @ a @ a, X)
    assert twice.numbers["flops"] == pytest.approx(2 * once.numbers["flops"], rel=0.01)
    assert once.hlo_hash != twice.hlo_hash
    assert once == signals_of(lambda matrix: matrix @ matrix, X)


def test_donation_that_is_lost_is_a_buffer_fewer():
    assert signals_of(lambda a: a + 1, X, donate=(0,)).numbers["donated"] == 1
    assert signals_of(lambda a: a + 1, X).numbers["donated"] == 0


def test_a_callback_is_a_way_out_of_the_device():
    def outside(a: jax.Array) -> jax.Array:
        return jax.pure_callback(np.asarray, jax.ShapeDtypeStruct(a.shape, a.dtype), a) + 1

    assert signals_of(outside, X).numbers["outside"] == 1
    assert signals_of(lambda a: a + 1, X).numbers["outside"] == 0


def test_transfers_in_the_middle_of_a_program_are_ways_out():
    """As an accelerator's programs have them; a CPU's have no other memory."""
    text = """
  %a = f32[4]{0:S(5)} copy(%x)
  %b = (f32[4]{0}, u32[], token[]) send(%a, %t), channel_id=1
  %c = f32[4]{0} add(%x, %x)"""
    assert list(ways_outside(text)) == ["copy", "send"]


def test_float64_shows_among_the_operations():
    with jax.enable_x64(True):
        found = signals_of(lambda a: jnp.tanh(a), np.ones(64)).operations
    assert any(kind.endswith(" f64") for kind in found)


def test_the_hash_is_the_column_of_a_row():
    from harness.cost import program_cost

    program = compile_ahead(lambda a: jnp.tanh(a @ a), X, donate=())
    told = probe.facts(program)
    assert program_hash(told["optimized"], told["lowered"]) == program_cost(program)["hlo_hash"]


def test_a_cell_that_failed_keeps_its_name_and_the_reason():
    cell = {"dataset": "digits", "model": "mlp"}
    found = cell_signals({"cell": cell, "error": "ValueError: no"})
    assert (found.cell, found.error, found.programs) == ("digits x mlp", "ValueError: no", {})
