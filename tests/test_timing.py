from __future__ import annotations

import jax
import jax.numpy as jnp

from harness.timing import Block, compile_counter, named, steady, step_times


def blocks(*ms: float, steps: int = 10) -> list[Block]:
    return [Block(steps, steps * m / 1e3) for m in ms]


def test_the_first_block_and_slow_ones_behind_it_are_warm_up():
    assert [b.seconds for b in steady(blocks(50, 9, 1, 1, 1, 1.1))] == [
        b.seconds for b in blocks(1, 1, 1, 1.1)
    ]


def test_a_slow_block_in_the_middle_counts():
    assert len(steady(blocks(5, 1, 1, 7, 1, 1))) == 5


def test_at_most_half_is_warm_up():
    assert len(steady(blocks(8, 7, 6, 5, 1, 1, 1, 1))) == 4


def test_one_block_is_all_there_is():
    assert len(steady(blocks(3))) == 1


def test_quantiles_are_over_steps():
    measured = [*blocks(9), *blocks(1, steps=80), *blocks(2, steps=20)]
    times = step_times(measured, batch_size=5)
    assert times["step_ms_p50"] == 1
    assert times["step_ms_p90"] == 2
    assert abs(times["step_ms_mean"] - 1.2) < 1e-9  # type: ignore[operator]
    assert abs(times["examples_per_s"] - 5 / 1.2e-3) < 1e-6  # type: ignore[operator]


def test_without_blocks_there_are_no_times():
    assert set(step_times([], batch_size=1).values()) == {None}


def test_compilations_are_counted():
    counter = compile_counter()
    before = counter.compilations
    jax.jit(lambda x: x * 3 + 41)(jnp.ones(7)).block_until_ready()
    assert counter.compilations > before
    assert compile_counter() is counter


def test_a_compilation_is_named_with_its_shapes():
    counter = compile_counter()

    @jax.jit
    def scale(x: jax.Array, y: jax.Array) -> jax.Array:
        return x * 3 + y

    one, two = jnp.ones(7), jnp.ones((2, 1))
    before = counter.compilations
    scale(one, two).block_until_ready()
    assert counter.compiled[before:] == ["scale(float32[7],float32[2,1])"]
    scale(one, two).block_until_ready()
    assert counter.compilations == before + 1


def test_many_compilations_are_named_in_one_line():
    assert named(["a()", "b()"]) == "a(); b()"
    assert named([f"f{i}()" for i in range(7)]) == "f0(); f1(); f2(); f3(); f4() and 2 more"
