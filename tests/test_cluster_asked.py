"""What the user says of a cluster."""

from __future__ import annotations

import pytest

from harness.cluster import Cluster, parse_resources
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "needs --scheduler"),
        ({"scheduler": "tcp://a:1", "workers": 2}, "are both given"),
        ({"scheduler": "foo"}, "'foo': expected tcp://HOST:PORT"),
        ({"scheduler": "http://a:8787"}, "expected tcp://HOST:PORT"),
        ({"workers": 0}, "expected 1 or more"),
        ({"workers": 1, "resources": {"gpu": 1.0}}, "have none"),
        ({"workers": 1, "ship": ("nowhere",)}, "no such file"),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(values: dict, told: str):
    with pytest.raises(UsageError, match=told):
        Cluster(**values)


@pytest.mark.parametrize("text", ["gpu", "=1", "gpu=", "gpu=0", "gpu=inf", "gpu=nan", "gpu=x"])
def test_a_malformed_resource_is_refused(text: str):
    with pytest.raises(UsageError, match="expected NAME=AMOUNT"):
        parse_resources((text,))


def test_a_resource_that_is_given_twice_is_refused():
    with pytest.raises(UsageError, match="'gpu=2': gpu is given twice"):
        parse_resources(("gpu=1", "gpu=2"))


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "head:8786", "tls://[::1]:8786"])
def test_addresses_as_dask_prints_them_are_taken(address: str):
    assert Cluster(scheduler=address).scheduler == address
