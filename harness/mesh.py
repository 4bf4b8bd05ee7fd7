"""The devices of a run: one, or a mesh of several over which each batch is split.

The program is written once, for whole batches. With several devices the compiler is told that
the state and the data are on every device and that a batch is split over them; it adds the
communication itself, and what is computed stays what it was: statistics are of the whole
batch, and a random mask is the one that a single device draws. On one device nothing is
placed or constrained, so its program is the one it would be without this file.

https://docs.jax.dev/en/latest/notebooks/Distributed_arrays_and_automatic_parallelization.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from harness.errors import Unavailable, UsageError, counted

AXIS = "data"


@dataclass(frozen=True)
class Mesh:
    """Where a run computes.

    Attributes:
      devices: a mesh with the one axis "data"; None for the one device that JAX takes.
      processes: which have as many of the devices each, in the order of the mesh.
    """

    devices: jax.sharding.Mesh | None = None
    processes: int = 1

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
        sharding = self.everywhere
        if sharding is None:
            return tree
        return jax.tree.map(lambda array: put(array, sharding), tree)

    def placed(self, arrays: Any) -> Any:
        """A pytree of arrays of the host, the whole of each on every device."""
        return jax.device_put(arrays) if self.devices is None else self.replicated(arrays)

    def local(self, tree: Any) -> Any:
        """A pytree that is on every device, as this process alone can compute with it."""
        if self.processes == 1:
            return tree
        return jax.tree.map(lambda array: array.addressable_data(0), tree)

    def agree(self, text: str) -> None:
        """Makes sure that all processes have the same text.

        Raises:
          AssertionError: they have not.
        """
        if self.processes > 1:
            digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
            multihost_utils.assert_equal(digest, "processes found different checkpoints")

    def share(self, batch_size: int) -> slice:
        """Which examples of a batch this process feeds."""
        if self.processes == 1:
            return slice(None)
        size, number = batch_size // self.processes, jax.process_index()
        return slice(number * size, (number + 1) * size)

    def payload(self, payload: Any) -> Any:
        """What a chunk is fed, its batches split over the devices.

        Args:
          payload: arrays [K, b, ...], of which this process has its share of b.
        """
        sharding = self._sharding(None, AXIS)
        if sharding is None:
            return payload
        place = partial(jax.make_array_from_process_local_data, sharding)
        return jax.tree.map(place, payload)

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


def mesh_of(count: int, *, processes: int = 1) -> Mesh:
    """So many devices, the first that each process has.

    Raises:
      Unavailable: there are fewer; says how many of which kind, and what to do.
      UsageError: this process is not one of so many.
    """
    if count == 1:
        return ONE
    if processes != jax.process_count():
        raise UsageError(
            f"--processes {processes} in a process that is one of {jax.process_count()}; "
            "without --in-process each run has its own"
        )
    if processes > 1:
        return Mesh(_over_processes(count // processes, processes), processes)
    here = jax.devices()
    if len(here) < count:
        told = f"{counted(len(here), 'device')} here ({here[0].device_kind})"
        raise Unavailable(f"--devices {count}, but JAX has {told}; {_advice(count, here)}")
    return Mesh(jax.sharding.Mesh(np.array(here[:count]), (AXIS,)))


def _over_processes(each: int, processes: int) -> jax.sharding.Mesh:
    """The first devices of each process, one process after the other.

    Raises:
      Unavailable: this process has fewer; they are alike, so each says so.
    """
    here = jax.local_devices()
    if len(here) < each:
        told = f"{counted(len(here), 'device')} here ({here[0].device_kind})"
        raise Unavailable(
            f"each of {processes} processes needs {each} devices, but JAX has {told}; "
            f"{_advice(each, here)}"
        )
    of = {p: [d for d in jax.devices() if d.process_index == p] for p in range(processes)}
    chosen = [device for p in range(processes) for device in of[p][:each]]
    return jax.sharding.Mesh(np.array(chosen), (AXIS,))


def _advice(count: int, here: Sequence[Any]) -> str:
    if here[0].platform == "cpu":
        setting = f"JAX_NUM_CPU_DEVICES={count}"
        return f"{setting} in the environment of the command simulates so many on a processor"
    return f"give --devices {len(here)} at most"


def put(array: Any, sharding: Sharding) -> jax.Array:
    """An array that each process has, random keys too, placed on devices of all of them."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        bits = put(jax.random.key_data(array), sharding)
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(array))
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda at: host[at])


def sharding_of(array: Any) -> Sharding | None:
    """Where an array is, if it is on several devices; None for wherever JAX puts one."""
    return array.sharding if len(array.sharding.device_set) > 1 else None
