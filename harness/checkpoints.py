"""Checkpoints within a run: a killed training is taken up again where it was last written.

A checkpoint holds everything that the next step depends on (parameters, the optimizer's
state, counters of random streams, the position in the data) and what was measured until
then, so that the run goes on to the bit and its row is whole. Orbax writes it: whole or
not at all, whenever the process dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.errors import first_line
from harness.mesh import put, sharding_of


@dataclass(frozen=True)
class Checkpoint:
    """What was written.

    Attributes:
      trees: pytrees of arrays by name, typed random keys included.
      told: JSON values.
    """

    trees: Mapping[str, Any]
    told: Mapping[str, Any]


@dataclass
class Checkpoints:
    """The checkpoints of one run, in a folder of its own; only the last one is kept.

    Attributes:
      folder: where they are; one run at a time may use it.
      every_s: seconds between two of them; a run that is shorter never writes one.
      resume: whether one that is there already is taken up.
      writes: whether the folder is this process's to write; else it only reads.
      note: told in one line when a checkpoint could not be written or read. That costs
        no run: training goes on without.
    """

    folder: Path
    every_s: float
    resume: bool = False
    writes: bool = True
    note: Callable[[str], None] = print
    written_at: float = field(default_factory=time.perf_counter)
    _manager: Any = field(default=None, init=False, repr=False)
    _broken: bool = field(default=False, init=False, repr=False)

    def due(self) -> bool:
        waited = time.perf_counter() - self.written_at
        return self.writes and not self._broken and waited >= self.every_s

    def write(self, step: int, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint and drops the one before; `step` only grows."""
        from orbax.checkpoint import args  # late: a second, for runs that are long

        leaves = {name: _plain_leaves(tree) for name, tree in checkpoint.trees.items()}
        try:
            written = self._open().save(
                step,
                args=args.Composite(
                    arrays=args.StandardSave(leaves),
                    told=args.JsonSave({**checkpoint.told, "trees": sorted(leaves)}),
                ),
            )
            self._open().wait_until_finished()
            if not written:
                raise RuntimeError(f"Orbax left out step {step}")
        except Exception as error:  # a full disk comes as many types
            self._tell("written", error)
            self._broken = True
        self.written_at = time.perf_counter()

    def read(self, templates: Mapping[str, Any]) -> Checkpoint | None:
        """The last checkpoint; None where there is none to take up.

        Args:
          templates: pytrees with the structure, shapes and dtypes of those that may have
            been written, by name.
        """
        if not self.resume or not self.folder.is_dir():
            return None
        try:
            return self._read(templates)
        except Exception as error:  # whatever is wrong with it, training can start anew
            self._tell("read", error)
            self.clear()
            return None

    def _read(self, templates: Mapping[str, Any]) -> Checkpoint | None:
        from orbax.checkpoint import args

        step = self._open().latest_step()
        if step is None:
            return None
        told = self._open().restore(step, args=args.Composite(told=args.JsonRestore()))["told"]
        names = told.pop("trees")
        shapes = {name: _plain_leaves(templates[name]) for name in names}
        found = self._open().restore(
            step, args=args.Composite(arrays=args.StandardRestore(shapes))
        )["arrays"]
        return Checkpoint({n: _like(templates[n], found[n]) for n in names}, told)

    def clear(self) -> None:
        """Throws everything away: the run has come to its end."""
        import shutil

        self.close()
        if self.writes:
            shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _open(self) -> Any:
        if self._manager is None:
            import orbax.checkpoint as ocp

            if self.writes:
                self.folder.mkdir(parents=True, exist_ok=True)  # Orbax does not, of several
            options = ocp.CheckpointManagerOptions(
                max_to_keep=1, create=False, cleanup_tmp_directories=self.writes,
                enable_async_checkpointing=False, multiprocessing_options=_alone(ocp),
            )  # fmt: skip
            self._manager = ocp.CheckpointManager(self.folder.absolute(), options=options)
        return self._manager

    def _tell(self, what: str, error: Exception) -> None:
        self.note(
            f"a checkpoint could not be {what} in {self.folder} "
            f"({type(error).__name__}: {first_line(error)}); the run goes on without"
        )


def _alone(ocp: Any) -> Any:
    """Of several processes each has a manager of its own, which waits for no other."""
    number = jax.process_index()
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    return ocp.options.MultiprocessingOptions(
        primary_host=number, active_processes={number}, barrier_sync_key_prefix=str(number)
    )


def _plain_leaves(tree: Any) -> dict[str, Any]:
    """A pytree's leaves by number, random keys as the integers behind them.

    Empty arrays are left out: there is nothing to write, and Orbax refuses them.
    """
    leaves = enumerate(jax.tree.leaves(tree))
    return {f"{i:06d}": _plain(leaf) for i, leaf in leaves if leaf.size}


def _plain(leaf: Any) -> Any:
    if not leaf.is_fully_addressable:  # of several processes: whole on each device
        leaf = leaf.addressable_data(0)
        return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _like(template: Any, leaves: Mapping[str, Any]) -> Any:
    """The leaves back in the template's structure.

    Raises:
      ValueError: a shape or dtype is not the template's.
    """
    shapes, structure = jax.tree.flatten(template)
    back = []
    for number, shape in enumerate(shapes):
        if not shape.size:
            back.append(shape)
            continue
        leaf = leaves[f"{number:06d}"]
        plain = _plain(shape)
        if leaf.shape != plain.shape or leaf.dtype != plain.dtype:
            raise ValueError(
                f"leaf {number} is {leaf.dtype} {list(leaf.shape)}; expected "
                f"{plain.dtype} {list(plain.shape)}"
            )
        if _is_key(shape):
            leaf = jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(shape))
        sharding = sharding_of(shape)
        if sharding is not None:
            leaf = put(leaf, sharding)
        elif not _is_key(shape):
            leaf = jax.device_put(np.asarray(leaf))  # own buffers: the first step donates them
        back.append(leaf)
    return jax.tree.unflatten(structure, back)
