"""The names of all checks, for commands that must not wait for JAX; a test keeps them."""

MODEL = (
    "constructs", "foreign_spec", "outputs", "same_seed", "state_round_trip", "finite",
    "gradients_reach", "overfits", "evaluation_repeats", "rows_apart", "padding_masked",
    "compiles_once", "no_callback", "cost",
)  # fmt: skip
DATASET = (
    "loads", "as_spec", "splits_disjoint", "deterministic", "fingerprint", "classes", "lengths",
    "decodes", "worker",
)  # fmt: skip
ALL = (*MODEL, *DATASET)
