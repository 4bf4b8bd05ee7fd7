from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from small import arrays

from harness_datasets.diabetes import diabetes

PUBLISHED: Any = load_diabetes(return_X_y=True)
TABLE = np.column_stack(PUBLISHED)


def test_spec_and_arrays_are_as_declared():
    data = diabetes()
    for split, n in ((arrays(data.train), 353), (arrays(data.test), 89)):
        assert (split["x"].shape, split["x"].dtype) == ((n, 10), np.float32)
        assert (split["y"].shape, split["y"].dtype) == ((n, 1), np.float32)
    spec = data.spec
    assert (spec.task, spec.kind, spec.shape, spec.num_classes) == (
        "regression", "features", (10,), 1,
    )  # fmt: skip
    assert spec.fingerprint == diabetes().spec.fingerprint


def test_the_splits_are_all_patients_once_in_units_of_the_training_split():
    data = diabetes()
    train, test = (
        np.column_stack([split["x"], split["y"]])
        for split in (arrays(data.train), arrays(data.test))
    )
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=0), 1, rtol=1e-5)
    both = np.concatenate([train, test])
    # one affine map a column leads back to the published table, in some order
    for column in range(11):
        published, ours = np.sort(TABLE[:, column]), np.sort(both[:, column])
        np.testing.assert_allclose(np.corrcoef(published, ours)[0, 1], 1, rtol=1e-9)
