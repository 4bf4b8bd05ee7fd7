"""The devices of a run: one, or a mesh of several over which each batch is split.

The program is written once, for whole batches. With several devices the compiler is told that
the state and the data are on every device and that a batch is split over them; it adds the
communication itself, and what is computed stays what it was: statistics are of the whole
batch, and a random mask is the one that a single device draws. On one device nothing is
placed or constrained, so its program is the one it would be without this file.

https://docs.jax.dev/en/latest/notebooks/Distributed_arrays_and_automatic_parallelization.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from harness.errors import Unavailable, counted

AXIS = "data"


@dataclass(frozen=True)
class Mesh:
    """Where a run computes.

    Attributes:
      devices: a mesh with the one axis "data"; None for the one device that JAX takes.
    """

    devices: jax.sharding.Mesh | None = None

    @property
    def count(self) -> int:
        return 1 if self.devices is None else self.devices.size

    @property
    def everywhere(self) -> Sharding | None:
        """The whole of an array on each device; None leaves it to JAX."""
        return self._sharding()

    def _sharding(self, *axes: str | None) -> Sharding | None:
        if self.devices is None:
            return None
        return NamedSharding(self.devices, PartitionSpec(*axes))

    def replicated(self, tree: Any) -> Any:
        """A pytree of arrays, the whole of each on every device."""
        return tree if self.devices is None else jax.device_put(tree, self.everywhere)

    def payload(self, payload: Any) -> Any:
        """What a chunk is fed, [K, b, ...] each, its batches split over the devices."""
        if self.devices is None:
            return payload
        return jax.device_put(payload, self._sharding(None, AXIS))

    def split(self, batch: Any) -> Any:
        """Within a program: a batch, [b, ...] each, split over the devices."""
        sharding = self._sharding(AXIS)
        return batch if sharding is None else lax.with_sharding_constraint(batch, sharding)

    def parts(self, parts: Any) -> Any:
        """Within a program: parts of a batch, [parts, b / parts, ...] each, each of them split.

        Else a part, which is a piece of the batch, would be on one device as a whole.
        """
        sharding = self._sharding(None, AXIS)
        return parts if sharding is None else lax.with_sharding_constraint(parts, sharding)


ONE = Mesh()


def mesh_of(count: int) -> Mesh:
    """The first devices that JAX has, so many.

    Raises:
      Unavailable: there are fewer; says how many of which kind, and what to do.
    """
    if count == 1:
        return ONE
    here = jax.devices()
    if len(here) < count:
        told = f"{counted(len(here), 'device')} here ({here[0].device_kind})"
        raise Unavailable(f"--devices {count}, but JAX has {told}; {_advice(count, here)}")
    return Mesh(jax.sharding.Mesh(np.array(here[:count]), (AXIS,)))


def _advice(count: int, here: Sequence[Any]) -> str:
    if here[0].platform == "cpu":
        setting = f"JAX_NUM_CPU_DEVICES={count}"
        return f"{setting} in the environment simulates so many on a processor"
    return f"give --devices {len(here)} at most"


def sharding_of(array: Any) -> Sharding | None:
    """Where an array is, if it is on several devices; None for wherever JAX puts one."""
    return array.sharding if len(array.sharding.device_set) > 1 else None
