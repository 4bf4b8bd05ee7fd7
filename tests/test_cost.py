from __future__ import annotations

import jax
import jax.numpy as jnp

from harness import cost


def compiled(function, *args):
    return jax.jit(function).lower(*args).compile()


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
