"""Conformance: does a plugin do what its contract says?

A check is a small named value with a function in it (`check`); what it is tried on is a
`Subject` (`subject`), built from a real data set or from made-up ones (`made_up`). Each of
`construction`, `learning`, `evaluation` and `programs` holds checks of models, `data` those
of data sets; `catalogue` lists them all. `perform` runs the checks of an entry in a process
of their own, so that one that takes its process down costs itself alone.
"""
