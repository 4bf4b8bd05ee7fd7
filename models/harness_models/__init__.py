"""The built-in models: one file an architecture, its ablations as variants."""
