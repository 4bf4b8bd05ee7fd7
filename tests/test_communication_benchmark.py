from __future__ import annotations

from benchmarks.communication import Line, page


def test_the_page_holds_each_line_beside_the_gradient_that_has_to_be_sent():
    lines = [Line("mlp", 1000, 1, 0.0, 0), Line("mlp", 1000, 4, 12_000.0, 3)]
    told = page(lines)
    assert "| mlp | 1,000 | 1 | 0 |  | 0 |" in told
    # 2 * 3/4 * 4 bytes * 1000 parameters
    assert "| mlp | 1,000 | 4 | 12,000 | 2.00 | 3 |" in told
    assert "`python -m benchmarks.communication`" in told and "jax" in told
