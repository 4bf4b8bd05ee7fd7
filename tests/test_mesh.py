from __future__ import annotations

import jax
import numpy as np
import pytest

from harness.errors import Unavailable
from harness.mesh import ONE, Mesh, mesh_of, sharding_of


def test_on_one_device_nothing_is_placed_or_constrained():
    assert mesh_of(1) is ONE and ONE.count == 1 and ONE.everywhere is None
    tree = {"x": np.ones((2, 3))}
    for same in (ONE.replicated, ONE.payload, ONE.split, ONE.parts):
        assert same(tree) is tree
    assert sharding_of(jax.numpy.ones(3)) is None


def test_too_few_devices_are_told_with_what_simulates_them():
    with pytest.raises(Unavailable) as caught:
        mesh_of(64)
    told = str(caught.value)
    assert told == (
        f"--devices 64, but JAX has {told.split('has ')[1].split(';')[0]}; "
        "JAX_NUM_CPU_DEVICES=64 in the environment of the command simulates so many "
        "on a processor"
    )
    assert "here (cpu)" in told and "\n" not in told


def test_of_an_accelerator_the_number_that_there_is_is_told(monkeypatch: pytest.MonkeyPatch):
    class Device:
        platform, device_kind = "gpu", "H100"

    monkeypatch.setattr(jax, "devices", lambda: [Device(), Device()])
    with pytest.raises(Unavailable, match=r"2 devices here \(H100\); give --devices 2 at most"):
        mesh_of(4)


def test_a_mesh_splits_the_second_axis_of_a_payload_and_the_first_of_a_batch():
    mesh = Mesh(jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",)))
    payload = mesh.payload({"x": np.zeros((3, 4, 5))})["x"]  # [K, b, d]
    assert payload.sharding.spec == jax.sharding.PartitionSpec(None, "data")
    text = str(jax.make_jaxpr(lambda a: (mesh.split(a), mesh.parts(a)))(np.zeros((4, 5))))
    assert "('data',)" in text or "'data'" in text
