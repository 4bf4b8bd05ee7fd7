"""The same model trained by the harness and by its peers, side by side.

    python -m benchmarks.peers            the whole table, under an hour
    python -m benchmarks.peers --quick    a part of the data, one round, under ten minutes

Every arm is a file that builds the model in its library's own terms and trains it the way
its users do: `harness_arm`, `tutorial_arm`, `torch_arm`, `keras_arm`. `arms` lists them,
`rounds` runs each in a fresh process, in turn, several rounds; `summary` pairs the times
within a round and writes the table, `machine_rates` says what the machine could do.
"""
