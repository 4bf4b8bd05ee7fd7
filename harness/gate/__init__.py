"""The step-time gate: is the candidate slower than the base, on this kind of machine?

Tier 0 compares what both sides compile to, without a clock (`probe`, `signals`, `compare`,
`deterministic`). Tier 1 times what that leaves open in fresh pairs of processes (`timed`,
`workers`, `cores`, `ways`, `blocks`, `pairs`), round by round (`rounds`), and tests exactly
(`statistics`, `controls`). `trees` and `environments` make the sides, `verdict` joins what
was found, `perform` runs it all into a `report`, `render` and `export` tell it.
"""
