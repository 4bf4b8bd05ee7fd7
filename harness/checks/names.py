"""The names of all checks, for commands that must not wait for JAX; a test keeps them."""

MODEL = (
    "constructs", "outputs", "foreign_spec", "same_seed", "state_round_trip", "compiles_once",
    "no_callback", "cost", "finite", "gradients_reach", "overfits", "evaluation_repeats",
    "rows_apart", "padding_masked",
)  # fmt: skip
DATASET = (
    "loads", "as_spec", "splits_disjoint", "deterministic", "fingerprint", "classes", "lengths",
    "decodes", "worker",
)  # fmt: skip
# by kind; entries of another kind have no checks
OF: dict[str, tuple[str, ...]] = {"model": MODEL, "dataset": DATASET}
ALL = (*MODEL, *DATASET)
