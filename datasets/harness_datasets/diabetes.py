"""Diabetes progression: regression on real data that needs no download.

scikit-learn brings the 442 patients with it, their ten features already standardised.
"""

from __future__ import annotations

import hashlib

import numpy as np

import harness
from harness.hookspecs import Register

SPLIT_SEED = 0
FEATURES = 10


def diabetes() -> harness.Dataset:
    """353 + 89 patients, ten features, progression of the disease after a year (Efron 2004).

    Both splits are `{"x": float32 [n, 10], "y": float32 [n, 1]}`. Features and target have
    mean 0 and standard deviation 1 over the training split, so that a loss of 1 is that of the
    constant predictor.
    """
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import train_test_split

    features, target = load_diabetes(return_X_y=True)  # float64 [n, 10], [n]
    table = np.column_stack([features, target])  # [n, 11]
    parts = train_test_split(table, test_size=0.2, random_state=SPLIT_SEED)
    mean, scale = np.mean(parts[0], axis=0), np.std(parts[0], axis=0)  # [11]
    train, test = (((part - mean) / scale).astype(np.float32) for part in parts)
    digest = hashlib.sha256(train.tobytes() + test.tobytes())
    return harness.Dataset(
        train={"x": train[:, :FEATURES], "y": train[:, FEATURES:]},
        test={"x": test[:, :FEATURES], "y": test[:, FEATURES:]},
        spec=harness.DataSpec(
            kind="features", shape=(FEATURES,), num_classes=1, class_names=("progression",),
            task="regression", fingerprint=digest.hexdigest(),
        ),
    )  # fmt: skip


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "diabetes",
        diabetes,
        description="442 patients, ten features, one target: regression without a download",
        paper="Efron et al. 2004, Least Angle Regression, Annals of Statistics 32",
    )
