from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from harness import cost
from harness.program import Compiled, compile_ahead


def compiled(function, *args) -> Compiled:
    return compile_ahead(function, *args, donate=())


def test_equal_programs_under_other_names_have_one_hash():
    def first(a):
        return jnp.tanh(a @ a).sum()

    def second(matrix):
        return jnp.tanh(matrix @ matrix).sum()

    x = jnp.ones((8, 8))
    one, two = (cost.program_cost(compiled(f, x)) for f in (first, second))
    assert one["hlo_hash"] == two["hlo_hash"]
    assert one == two


def test_another_computation_has_another_hash():
    x = jnp.ones((8, 8))
    hashes = {
        cost.program_cost(compiled(f, x))["hlo_hash"]
        for f in (
            lambda a: (a @ a).sum(),
            lambda a: (a @ a).max(),
            lambda a: (a @ a + 1.0).sum(),
            lambda a: (a @ a).sum().astype(jnp.bfloat16),
        )
    }
    assert len(hashes) == 4


@pytest.mark.parametrize("size", [2, 12, 200, 5000])
def test_another_constant_has_another_hash(size: int):
    def hash_of(seed: int) -> str:
        constant = np.random.default_rng(seed).normal(size=size).astype(np.float32)
        program = compiled(lambda x: (x * constant).sum(), jnp.ones(size))
        return cost.program_cost(program)["hlo_hash"]

    assert hash_of(0) == hash_of(0) != hash_of(1)


def test_what_is_folded_into_a_long_constant_is_in_the_hash():
    constant = np.arange(200, dtype=np.float32)

    def hash_of(factor: float) -> str:
        program = compiled(lambda x: x * (constant * jnp.float32(factor)), jnp.ones(200))
        return cost.program_cost(program)["hlo_hash"]

    assert hash_of(2.0) != hash_of(3.0)


def test_equal_programs_with_long_constants_under_other_names_have_one_hash():
    constant = np.arange(200, dtype=np.float32)

    def first(x):
        return {"first": jax.jit(lambda a: a * constant)(x)}

    def second(y):
        def inner(b):
            return b * constant

        return {"second": jax.jit(inner)(y)}

    hashes = {
        cost.program_cost(compiled(f, jnp.ones(200)))["hlo_hash"] for f in (first, second)
    }
    assert len(hashes) == 1


def test_flops_of_a_product_are_counted():
    costs = cost.program_cost(compiled(lambda a: a @ a, jnp.ones((64, 64))))
    assert 2 * 64**3 <= costs["flops_per_step"] <= 2.2 * 64**3
    assert costs["bytes_per_step"] >= 2 * 64 * 64 * 4


def test_the_body_of_a_loop_is_counted_once():
    def loop(steps):
        return lambda a: jax.lax.fori_loop(0, steps, lambda i, x: x @ a, a)

    x = jnp.ones((32, 32))
    flops = [cost.program_cost(compiled(loop(n), x))["flops_per_step"] for n in (3, 300)]
    assert flops[0] == flops[1]
    assert 2 * 32**3 <= flops[0] <= 2.5 * 32**3


def test_a_part_counts_as_often_as_it_is_gone_through_and_the_update_once():
    chunk = {"flops_per_step": 110.0, "bytes_per_step": None, "temp_bytes": 7, "hlo_hash": "a"}
    update = {"flops_per_step": 10.0, "bytes_per_step": 5.0, "temp_bytes": 1, "hlo_hash": "b"}
    whole = cost.in_parts(chunk, update, parts=4)
    assert whole == chunk | {"flops_per_step": 410.0}


def test_names_and_places_are_no_part_of_the_canonical_text():
    text = """HloModule jit_f, is_scheduled=true

FileNames
1 "a.py"

ENTRY %main.3 (x.1: f32[4]) -> f32[4] {
  %x.1 = f32[4]{0} parameter(0), metadata={op_name="x"}
  ROOT %neg.7 = f32[4]{0} negate(%x.1), metadata={op_name="jit(f)/neg" stack_frame_id=2}
}
"""
    assert cost.canonical(text).splitlines() == [
        "ENTRY %0 (f32[4]) -> f32[4] {",
        "  %1 = f32[4]{0} parameter(0)",
        "  ROOT %2 = f32[4]{0} negate(%1)",
        "}",
    ]
